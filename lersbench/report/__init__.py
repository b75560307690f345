"""Reports of a run, from its results and figures."""

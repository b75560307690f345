"""From a scenario to results on disk."""

"""One policy over the rows of a log."""

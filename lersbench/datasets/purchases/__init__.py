"""What the sources that come from purchases share."""

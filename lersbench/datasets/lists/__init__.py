"""What the sources that show lists share."""

"""What another policy would have earned, from what the logging policy showed."""

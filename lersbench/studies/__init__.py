"""Scenarios that belong together, on one page."""

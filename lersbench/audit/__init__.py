"""Worlds whose truth is known, and how often what is said of their logs comes out right."""

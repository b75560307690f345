"""Experiments on context models, trained off line."""

"""Worlds whose true values are known, on which the off-policy estimates are judged."""

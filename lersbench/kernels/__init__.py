"""Compiled arithmetic that knows nothing of bandits."""

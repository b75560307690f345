"""The contract every policy keeps, as checks that a plugin's author can run."""

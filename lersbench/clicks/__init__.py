"""Click models: their forms, their fits, and what they say of a log."""

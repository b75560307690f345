"""What several policies learn with."""

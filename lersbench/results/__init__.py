"""What a run came to: tables in, numbers and words out."""

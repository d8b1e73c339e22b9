"""What the author of an agent writes with."""

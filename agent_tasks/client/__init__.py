"""What a caller does with tasks."""

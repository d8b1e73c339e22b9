"""The client: submitting, watching and steering tasks."""

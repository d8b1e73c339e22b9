"""What a task is: its states, what it may spend, and whose it is."""

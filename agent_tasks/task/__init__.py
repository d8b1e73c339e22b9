"""The task itself: its states, its budget, and the identity it acts for."""

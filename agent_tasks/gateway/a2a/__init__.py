"""The door of A2A 1.0: agents are skills of one card, and each message begins a task or is a signal to one."""

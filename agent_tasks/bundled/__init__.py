"""The agents that come with the system."""

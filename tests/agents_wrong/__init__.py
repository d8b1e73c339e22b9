"""Modules of agents that no worker can serve, each for another reason."""

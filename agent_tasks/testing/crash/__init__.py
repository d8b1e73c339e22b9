"""Cutting the life of an agent's task at each of its boundaries, and looking at what comes of it."""

"""Redis: bells, the status mirror, and word of changes."""

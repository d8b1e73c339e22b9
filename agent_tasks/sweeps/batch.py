"""How much one round of a sweep moves. Its `run_once` returns how many it moved, 0 when nothing is due."""

BATCH = 500
TREES = 20
"""Of what locks whole trees."""

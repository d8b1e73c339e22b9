"""One file a sweep; `run_once` moves one batch and returns how many, 0 when nothing is due."""

BATCH = 500
TREES = 20
"""Of what locks whole trees."""

"""The size of a sweep's batch. Its `run_once` returns how many tasks it moved, 0 when nothing is due."""

BATCH = 500
TREES = 20
"""The size of a batch that locks whole trees."""

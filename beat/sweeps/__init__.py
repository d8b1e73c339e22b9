"""One file a sweep; `run_once` moves one batch and returns how many, 0 when nothing is due."""

BATCH = 500

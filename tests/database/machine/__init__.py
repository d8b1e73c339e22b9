"""A model of all tasks, the moves that are made on it and on Postgres alike, and what must hold after each."""

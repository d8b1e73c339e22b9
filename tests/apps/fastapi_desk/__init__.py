"""A help desk on FastAPI and async SQLAlchemy: its tickets are rows of its own, and an agent drafts their answers."""

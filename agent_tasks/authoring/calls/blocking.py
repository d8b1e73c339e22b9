"""Refusing to block the event loop on which a worker runs all its async steps."""

import asyncio

STEP_LOOP = "agent_tasks_database_threads"
"""The attribute that only a worker's loop has: the threads in which its steps' writes wait for Postgres."""


def refuse_to_block(what: str, instead: str) -> None:
    """Raise RuntimeError, with advice, if this thread is running a worker's event loop.

    On any other loop, as in a notebook or a user's program, blocking is the user's choice.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if hasattr(loop, STEP_LOOP):
        raise RuntimeError(f"{what} would block the event loop, and with it every async step of this worker: {instead}")

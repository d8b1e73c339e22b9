"""Refusing to block the event loop on which a worker runs all its async steps."""

import asyncio

STEP_LOOP = "agent_tasks_database_threads"
"""The attribute that a worker's loop has, and no other: the threads in which its steps' writes wait for Postgres."""


def refuse_to_block(what: str, instead: str) -> None:
    """Raise RuntimeError, with advice, where this thread is in the middle of a worker's event loop.

    Elsewhere, in a notebook or in the loop of a program of the user's, it is for them to decide.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if hasattr(loop, STEP_LOOP):
        raise RuntimeError(f"{what} would block the event loop, and with it every async step of this worker: {instead}")

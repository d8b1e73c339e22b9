"""Waiting for a blocking write in one of the worker's threads."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from agent_tasks.authoring.calls.blocking import STEP_LOOP

P = ParamSpec("P")
T = TypeVar("T")


async def durably(operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking write in one of the worker's threads. Once begun, it goes on even if the step is cancelled."""
    return await asyncio.shield(in_thread(operation, *args, **kwargs))


async def settled(
    operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> tuple[T, asyncio.CancelledError | None]:
    """Return a blocking write's result, and whether its caller was cancelled meanwhile. Raises what it raises."""
    cancelled = None
    write = in_thread(operation, *args, **kwargs)
    while not write.done():
        try:
            await asyncio.wait((write,))
        except asyncio.CancelledError as error:
            cancelled = error
    return write.result(), cancelled


def in_thread(operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
    """Run a blocking write in one of the worker's threads, and return its future."""
    loop = asyncio.get_running_loop()
    threads = getattr(loop, STEP_LOOP, None)  # on another loop, its own default threads
    return loop.run_in_executor(threads, lambda: operation(*args, **kwargs))

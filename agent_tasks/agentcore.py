"""Work that keeps an AgentCore runtime busy beside its tasks: the functions of its SDK's app, durable.

A runtime whose ping says HealthyBusy is not stopped for being idle. Tasks that work see to that by themselves; these
functions are for what else goes on.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import agent_tasks
from agent_tasks.authoring.place import place
from agent_tasks.store.errors import Transient
from agent_tasks.task import payloads
from agent_tasks.task.arguments import check_kind, check_text, check_whole
from agent_tasks.transitions import job

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
_LARGEST_ID = 2**63 - 1


def add_async_task(name: str, metadata: dict[str, Any] | None = None) -> int:
    """Say that something goes on, until `complete_async_task` is called with the id that this returns.

    It is kept in Postgres, so the runtime is busy after a restart, too, for AGENT_TASKS_AGENTCORE_LIFE_SECONDS at most.
    In a step it belongs to the session of its task, which then refuses other invocations in the mode `acknowledge`; a
    repeated try of the step takes the place of what the earlier one has added. One round trip to Postgres.

    Raises InvalidInput, PayloadTooLarge, and a psycopg.OperationalError (ServerAway) when Postgres is away.
    """
    check_text(name, "name", 256)
    check_kind(metadata, "metadata", dict, "a dict")
    client = agent_tasks.default()
    kept = payloads.encode(metadata, "metadata", limit=client.settings.payload_limit) if metadata else None
    with client.database.connection() as connection:
        return job.add(connection, name, kept, place.get())


def complete_async_task(task_id: int) -> bool:
    """Say that something has ended; returns whether it was still going on. Raises InvalidInput, ServerAway."""
    check_whole(task_id, "task_id", 0, _LARGEST_ID)
    with agent_tasks.default().database.connection() as connection:
        return job.complete(connection, task_id)


def async_task(func: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have the runtime be busy while an async function runs. Raises ValueError for another kind of function."""
    if not inspect.iscoroutinefunction(func):
        raise ValueError("@async_task can only be applied to async functions")

    @functools.wraps(func)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        adding = asyncio.ensure_future(asyncio.to_thread(add_async_task, func.__name__))
        try:
            await asyncio.shield(adding)
            return await func(*args, **kwargs)
        finally:
            await _complete(adding)

    return wrapper


async def _complete(adding: "asyncio.Future[int]") -> None:
    """Complete what was added, also where the function was cancelled meanwhile; its outcome matters more than ours."""
    await asyncio.wait([adding])
    if adding.exception() is not None:
        return  # the function did not begin, and its caller is told why
    try:
        await asyncio.to_thread(complete_async_task, adding.result())
    except Transient as error:
        log.warning("job not completed, it goes on until its life is over: job=%d error=%s", adding.result(), error)


__all__ = ["add_async_task", "async_task", "complete_async_task"]

"""Patience: a task may be waited for for hours, and Postgres be away for a moment of them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request

from agent_tasks.client.handle import TaskHandle
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.waiting import looks_at
from agent_tasks.store.errors import Transient
from agent_tasks.task.snapshot import TaskSnapshot

log = logging.getLogger(__name__)
T = TypeVar("T")
_PAUSE_SECONDS = 1.0


async def looks_until_end(
    gate: Gate, task: TaskHandle, gone: "asyncio.Future[Any] | None" = None
) -> AsyncGenerator[TaskSnapshot]:
    """The task at each change, until it has ended, the gateway goes or `gone` is done."""
    while True:
        try:
            async with aclosing(looks_at(gate, task, None, gone)) as looks:
                async for seen in looks:
                    yield seen
            return
        except Transient as error:
            if not await _may_go_on(gate, task, error, gone):
                return


async def read_patiently(gate: Gate, task: TaskHandle, read: Callable[[Gate], T]) -> T:
    """What `read` returns, done in a thread. Raises Transient where Postgres is away and the gateway goes."""
    while True:
        try:
            return await gate.in_thread(read)
        except Transient as error:
            if not await _may_go_on(gate, task, error, None):
                raise


async def client_gone(request: Request) -> None:
    """Return when whoever sent a request, whose body has been read, has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _may_go_on(gate: Gate, task: TaskHandle, error: Exception, gone: "asyncio.Future[Any] | None") -> bool:
    """Whether anybody is there to wait for the task, after a pause."""
    log.warning("a task that is waited for is not seen until Postgres is back: task=%s %s", task.id, error)
    closing = asyncio.ensure_future(gate.closing.wait())
    ends: set[asyncio.Future[Any]] = {closing} if gone is None else {closing, gone}
    done, _ = await asyncio.wait(ends, timeout=_PAUSE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    closing.cancel()
    return not done

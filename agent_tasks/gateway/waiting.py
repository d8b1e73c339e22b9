"""Waiting for a task's end within a request: no thread is held meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import Request

from agent_tasks.client.following import follow_async
from agent_tasks.client.handle import TaskHandle
from agent_tasks.gateway.door import gate_of
from agent_tasks.gateway.gate import Gate
from agent_tasks.task.snapshot import TaskSnapshot


async def until_ended(request: Request, task: TaskHandle, seconds: float) -> TaskSnapshot:
    """The task's snapshot at its end, or as it stands after so many seconds, or when the gateway goes."""
    async with aclosing(looks_at(gate_of(request), task, seconds)) as looks:
        seen = await anext(looks)
        async for newer in looks:
            seen = newer
    return seen


async def looks_at(
    gate: Gate, task: TaskHandle, seconds: float | None, gone: "asyncio.Future[Any] | None" = None
) -> AsyncGenerator[TaskSnapshot]:
    """The task as it stands, and then at each change, until it has ended, so many seconds have passed, the gateway goes
    or `gone` is done."""
    looks = follow_async(task, seconds, gate.threads)
    yield await anext(looks)
    closing = asyncio.ensure_future(gate.closing.wait())
    look = asyncio.ensure_future(anext(looks, None))
    until: set[asyncio.Future[Any]] = {closing} if gone is None else {closing, gone}
    try:
        while True:
            await asyncio.wait({look, *until}, return_when=asyncio.FIRST_COMPLETED)
            if not look.done() or (newer := look.result()) is None:
                break
            yield newer
            look = asyncio.ensure_future(anext(looks, None))
    except TimeoutError:
        pass  # it goes on, and the answer says how it stands
    finally:
        look.cancel()
        closing.cancel()
        await asyncio.gather(look, closing, return_exceptions=True)
        await looks.aclose()

"""Waiting for a task's end within a request: no thread is held meanwhile."""

import asyncio

from fastapi import Request

from agent_tasks.client.following import follow_async
from agent_tasks.client.handle import TaskHandle
from agent_tasks.gateway.door import gate_of
from agent_tasks.task.snapshot import TaskSnapshot


async def until_ended(request: Request, task: TaskHandle, seconds: float) -> TaskSnapshot:
    """The task's snapshot at its end, or as it stands after so many seconds, or when the gateway goes."""
    gate = gate_of(request)
    looks = follow_async(task, seconds, gate.threads)
    seen = await anext(looks)
    closing = asyncio.ensure_future(gate.closing.wait())
    look = asyncio.ensure_future(anext(looks, None))
    try:
        while True:
            await asyncio.wait({look, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not look.done() or (newer := look.result()) is None:
                break
            seen = newer
            look = asyncio.ensure_future(anext(looks, None))
    except TimeoutError:
        pass  # it goes on, and the answer says how it stands
    finally:
        look.cancel()
        closing.cancel()
        await asyncio.gather(look, closing, return_exceptions=True)
        await looks.aclose()
    return seen

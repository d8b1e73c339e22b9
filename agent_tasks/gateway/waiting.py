"""Waiting for a task's end within a request: no thread is held meanwhile."""

from fastapi import Request

from agent_tasks.client.following import follow_async
from agent_tasks.client.handle import TaskHandle
from agent_tasks.gateway.door import gate_of
from agent_tasks.task.snapshot import TaskSnapshot


async def until_ended(request: Request, task: TaskHandle, seconds: float) -> TaskSnapshot:
    """The task's snapshot at its end, or as it stands after so many seconds."""
    looks = follow_async(task, seconds, gate_of(request).threads)
    seen = await anext(looks)
    try:
        async for look in looks:
            seen = look
    except TimeoutError:
        pass  # it goes on, and the answer says how it stands
    return seen

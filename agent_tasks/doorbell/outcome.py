"""How a task of a team's app tells of its end: by links to two tasks of ours, which it carries in its message."""

from typing import Any
from uuid import UUID

from celery import Celery
from celery.canvas import Signature

ENDED, FAILED = "agent_tasks.ended", "agent_tasks.failed"
"""ENDED is given what the task returned, or an error; FAILED is called where the task has failed, and sends ENDED."""


def linked(signature: Signature, app: Celery, queue: str, *, task_id: UUID, signal: str) -> Any:
    """Return a copy of a signature that tells the agent's task `task_id` of the end, by this signal, through `queue`.

    The links that it has already stay.
    """
    told: dict[str, Any] = {"to": str(task_id), "signal": signal}
    copy = signature.clone()
    copy.link(Signature(ENDED, kwargs=told, app=app, options={"queue": queue}))
    copy.link_error(Signature(FAILED, kwargs={**told, "queue": queue}, app=app, options={"queue": queue}))
    return copy

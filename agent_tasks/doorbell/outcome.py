"""How a task of a team's app tells of its end: by links to two tasks of ours, which it carries in its message."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import Celery
from celery.canvas import Signature

from agent_tasks.task.signing import is_signed, mac

ENDED, FAILED = "agent_tasks.ended", "agent_tasks.failed"
"""ENDED is given what the task returned, or an error; FAILED is called where the task has failed, and sends ENDED."""


def linked(signature: Signature, app: Celery, queue: str, *, task_id: UUID, signal: str, key: bytes) -> Any:
    """Return a copy of a signature that tells the agent's task `task_id` of the end, by this signal, through `queue`.

    The links that it has already stay. `key` signs, so that who may only write to the broker can tell of nothing.
    """
    to = str(task_id)
    told: dict[str, Any] = {"to": to, "signal": signal, "seal": mac(_signed_part(to, signal), key).decode()}
    copy = signature.clone()
    copy.link(Signature(ENDED, kwargs=told, app=app, options={"queue": queue}))
    copy.link_error(Signature(FAILED, kwargs={**told, "queue": queue}, app=app, options={"queue": queue}))
    return copy


def is_sealed(to: str, signal: str, seal: str, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys has signed that the task `to` may be sent this signal."""
    return is_signed(_signed_part(to, signal), seal.encode(), keys)


def _signed_part(to: str, signal: str) -> bytes:
    return f"{to} {signal}".encode()

"""What answers say of a task: its snapshot, its version as ETag, and when to look again."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response

from agent_tasks.task.snapshot import TaskSnapshot

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 1, 30
"""When to look again at a task: after a second, doubling with its age to half a minute."""


def retry_after(task: TaskSnapshot) -> dict[str, str]:
    """The header that says when to look again; none where the task has ended."""
    if task.status.is_terminal:
        return {}
    age = (datetime.now(UTC) - task.created_at).total_seconds()
    seconds = FIRST_LOOK_SECONDS
    while seconds * 2 <= age and seconds < LAST_LOOK_SECONDS:
        seconds *= 2
    return {"Retry-After": str(min(seconds, LAST_LOOK_SECONDS))}


def location(request: Request, task: TaskSnapshot) -> dict[str, str]:
    """Where the task is found; below the path at which a proxy has mounted the gateway."""
    return {"Location": f"{request.scope.get('root_path', '')}/tasks/{task.id}"}


def of_task(task: TaskSnapshot, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """The snapshot, with `more` beside its fields."""
    head = {"ETag": etag(task), "Cache-Control": "no-cache", **retry_after(task), **(headers or {})}
    body = task.model_dump_json()
    if more:
        body = f"{body[:-1]},{json.dumps(more)[1:]}"
    return Response(body, status, head, "application/json")


def etag(task: TaskSnapshot) -> str:
    """The version of a task, which grows with every change that can be seen, and since when it is paused."""
    paused = f"-{task.paused.since.timestamp():.6f}" if task.paused else ""
    return f'"{task.version}{paused}"'


def is_known(request: Request, task: TaskSnapshot) -> bool:
    """Whether `If-None-Match` names this version (RFC 9110, 13.1.2)."""
    given = ",".join(request.headers.getlist("if-none-match"))
    if given.strip() == "*":
        return True
    return etag(task) in re.findall(r'"[^"]*"', given)

"""Where a task stands, and why it does not go on: in a sentence, with what that is made of."""

from typing import Any

from pydantic import BaseModel

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.taken_signals import TakenSignals
from agent_tasks.errors import ErrorInfo
from agent_tasks.task.paused import Paused
from agent_tasks.task.snapshot import TaskSnapshot, WaitingFor
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.unserved import Unserved


class Standing(BaseModel):
    """Where a task stands."""

    task_id: str
    agent: str
    step: str
    status: TaskStatus
    why: str
    """Why it stands there, and what to do."""
    waiting_for: WaitingFor | None
    payload_schema: dict[str, Any] | None
    """Of the signal that it waits for, where that has one."""
    paused: Paused | None
    unserved: Unserved | None
    error: ErrorInfo | None


def standing(client: AgentTasks, task: TaskSnapshot) -> Standing:
    """Return where a task stands. Reads what its agent has registered."""
    waiting = task.waiting_for
    asks = waiting is not None and waiting.kind == "signal" and waiting.waits is None
    return Standing(
        task_id=str(task.id),
        agent=task.agent,
        step=task.step,
        status=task.status,
        why=_why(task),
        waiting_for=waiting,
        payload_schema=TakenSignals(client, task.agent).payload_schema(task.step) if asks else None,
        paused=task.paused,
        unserved=task.unserved,
        error=task.error,
    )


def _why(task: TaskSnapshot) -> str:
    if task.error is not None:
        return f"It ended as {task.status}: {task.error.message} What to do: {task.error.suggested_action}."
    if task.status.is_terminal:
        return "It has completed."
    if task.paused is not None:
        reason = f", since {task.paused.reason}" if task.paused.reason else ""
        return f"The {task.paused.kind} is paused by {task.paused.by}{reason}. It goes on when that has ended."
    if task.unserved is not None:
        return f"{task.unserved.message} {task.unserved.action}"
    waiting = task.waiting_for
    if waiting is None:
        where = "A worker runs its step." if task.status is TaskStatus.RUNNING else "It waits for a free worker."
        return where
    until = f", until {waiting.until.isoformat(timespec='seconds')}" if waiting.until else ""
    since = waiting.since.isoformat(timespec="seconds")
    to_do = " Send it with the tool signal." if waiting.kind == "signal" else ""
    return f"It waits for {waiting.kind} {waiting.name or ''}".rstrip() + f" since {since}{until}.{to_do}"

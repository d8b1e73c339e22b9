"""The history of a task: the message that began it, and those that were signals to it."""

from typing import Any, cast

from a2a.types import a2a_pb2 as a2a

from agent_tasks.gateway.a2a.tasks import KEPT, context_of
from agent_tasks.gateway.a2a.values import part_of, struct_of
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import console
from agent_tasks.task.arguments import TASK_SIGNALS
from agent_tasks.task.snapshot import TaskSnapshot

MOST = 100
"""Messages that are told of a task."""
SIGNAL_IDS = "a2a:"
"""What the ids of signals begin with that were messages."""


def history_of(connection: Connection, task: TaskSnapshot, length: int | None) -> list[a2a.Message]:
    """The last `length` messages to a task, at most 100, the oldest first; none of a sensitive agent's."""
    most = MOST if length is None else min(length, MOST)
    given = console.payloads(connection, task.id) if most else None
    if given is None or given["sensitive"]:
        return []
    sent = [
        _message(task, _id(row["signal_id"]) or f"{task.id}-signal-{row['seq']}", [row["payload"]], signal=row["name"])
        for row in console.signals(connection, task.id, most)
        if not row["name"].startswith(TASK_SIGNALS)
    ]
    if len(sent) < most:
        kept = (task.metadata or {}).get(KEPT)
        id, text = (_kept(kept, name) for name in ("message_id", "text"))
        sent.append(_message(task, id or str(task.id), _parts(given["input"], text)))
    return sent[::-1]


def _parts(input: Any, text: str | None) -> list[Any]:
    """The input as it was sent: one argument of it may have been a text."""
    if text is None or not isinstance(input, dict) or not isinstance(input.get(text), str):
        return [input]
    rest = {name: value for name, value in input.items() if name != text}  # pyright: ignore
    return [input[text], *([rest] if rest else [])]


def _kept(kept: Any, name: str) -> str | None:
    """What was kept of the first message; anybody may have given the metadata that it is in."""
    found: Any = cast("dict[str, Any]", kept).get(name) if isinstance(kept, dict) else None
    return found if isinstance(found, str) and found else None


def _id(signal_id: str | None) -> str | None:
    return signal_id.removeprefix(SIGNAL_IDS) if signal_id else None


def _message(task: TaskSnapshot, id: str, parts: list[Any], signal: str | None = None) -> a2a.Message:
    said = a2a.Message(
        message_id=id,
        role=a2a.ROLE_USER,
        task_id=str(task.id),
        context_id=context_of(task),
        parts=[part_of(part) for part in parts],
    )
    if signal is not None:
        said.metadata.CopyFrom(struct_of({"agent-tasks": {"signal": signal}}))
    return said

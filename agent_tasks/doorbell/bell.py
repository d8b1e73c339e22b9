"""The bell: a Celery message that says a task's step is ready to be claimed, and what is in it on any broker."""

import json
import logging
from dataclasses import dataclass
from typing import Any

from agent_tasks.doorbell import envelope
from agent_tasks.task.budget import RESOURCES, remaining
from agent_tasks.task.row import BellRow
from agent_tasks.task.snapshot import budget_of, held_of, reserved_of, spend_of

log = logging.getLogger(__name__)
_Above = dict[str, str | None]
BODY: list[Any] = [[], {}, {}]
"""A Celery task's arguments, of which a step has none."""
PASSES_HEADER = "agent_tasks_passes"
MOST_CHARACTERS = 32_768
"""The longest envelope, unsigned, that holds all it may: a message's headers must fit into one frame of AMQP."""
PASSES = 12
"""How often a bell is passed between workers that have no code for its step; then the sweep rings another."""


@dataclass(frozen=True)
class Taken:
    """A bell that a worker took off the broker, and that is to be sent again."""

    headers: dict[str, Any]
    queue: str
    level: int
    """Its priority as the broker has it."""


def message_id(row: BellRow) -> str:
    """Return the Celery id of a bell, unique to it, so that revoking one bell does not silence later ones."""
    return f"{row['id']}:{row['step_number']}:{row['version']}"


def headers(row: BellRow, key: bytes) -> dict[str, Any] | None:
    """Return a bell's headers. None if a budget cannot be read, which must not keep other tasks' bells from ringing."""
    above: _Above = {"root_id": str(row["root_id"]), "parent_id": str(row["parent_id"]) if row["parent_id"] else None}
    kwargs = f"{{'task': '{row['id']}', 'step_number': {row['step_number']}}}"
    try:
        sealed = envelope.sign_text(_text(_envelope(row, above)), key)
    except ValueError as error:
        log.error("no bell can be rung for the task: task=%s error=%s", row["id"], error)
        return None
    return {
        **_headers(f"{row['agent']}.{row['step']}", message_id(row), above, kwargs, row["attempt"]),
        envelope.HEADER: sealed,
        **({"traceparent": row["traceparent"]} if row["traceparent"] else {}),
    }


def repeated(request: Any) -> Taken:
    """Return the message again that Celery took, from the `request` of its task."""
    where = request.delivery_info
    above: _Above = {"root_id": request.root_id, "parent_id": request.parent_id}
    headers = _headers(request.task, request.id, above, request.kwargsrepr, request.retries) | request.headers
    return Taken(headers, where["routing_key"], int(where["priority"] or 0))


def passed_on(message: Any) -> Taken | None:
    """Return a message of kombu's, to be passed on since a worker has no code for its step. None if it has been passed
    on often enough, or is no bell of ours."""
    headers = message.headers
    passes = headers.get(PASSES_HEADER, 0)
    if envelope.HEADER not in headers or passes not in range(PASSES):
        return None
    level = int(message.properties.get("priority") or 0)
    return Taken(headers | {PASSES_HEADER: passes + 1}, message.delivery_info["routing_key"], level)


def _headers(task_name: str, identifier: str, above: _Above, kwargs: str, retries: int) -> dict[str, Any]:
    return {
        "lang": "py",
        "task": task_name,
        "id": identifier,
        **above,
        "argsrepr": "(***)",
        "kwargsrepr": kwargs,
        "retries": retries,
        "ignore_result": True,
        "eta": None,
        "expires": None,
        "group": None,
        "timelimit": [None, None],
    }


def _text(content: dict[str, Any]) -> str:
    """Return the text of an envelope; what its sender may make as long as they like is left to the row if it is."""
    if len(text := json.dumps(content)) <= MOST_CHARACTERS:
        return text
    return json.dumps({**content, "identity": None, "session_id": None})


def _envelope(row: BellRow, above: _Above) -> dict[str, Any]:
    left = remaining(budget_of(row), spend_of(row) + reserved_of(row) + held_of(row))
    amounts = {name: getattr(left, name) for name in RESOURCES}
    return {
        "task_id": str(row["id"]),
        **above,
        "agent": row["agent"],
        "step": row["step"],
        "step_number": row["step_number"],
        "identity": row["identity"],
        "session_id": row["session_id"],
        "budget": {name: amount for name, amount in amounts.items() if amount is not None},
    }

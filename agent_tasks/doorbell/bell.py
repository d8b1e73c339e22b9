"""The bell: a Celery message on Redis that says a task's step is ready to be claimed."""

import base64
import json
from typing import Any
from uuid import uuid4

from agent_tasks.doorbell import envelope
from agent_tasks.task.budget import RESOURCES, remaining
from agent_tasks.task.row import BellRow
from agent_tasks.task.snapshot import budget_of, reserved_of, spend_of

_Above = dict[str, str | None]
_BODY = base64.b64encode(json.dumps([[], {}, {}]).encode()).decode()
_SEPARATOR = "\x06\x16"  # kombu.transport.redis.Channel.sep
PRIORITY_STEPS = (0, 3, 6, 9)
"""The priorities for which kombu keeps a Redis list each; 0 is taken first."""
PASSES_HEADER = "agent_tasks_passes"
PASSES = 12
"""How often a bell is passed between workers that have no code for its step; then the sweep rings another."""


def broker_priority(priority: int) -> int:
    """Return the broker's priority for a task's: 9 is the most urgent for us, 0 for Redis."""
    wanted = 9 - priority
    return max(step for step in PRIORITY_STEPS if step <= wanted)


def queue_keys(queue: str) -> list[str]:
    """Return the Redis lists that hold a queue's messages, as kombu's Redis transport names them."""
    return [_list(queue, level) for level in PRIORITY_STEPS]


def message_id(row: BellRow) -> str:
    """Return the Celery id of a bell, unique to it, so that revoking one bell does not silence later ones."""
    return f"{row['id']}:{row['step_number']}:{row['version']}"


def message(row: BellRow, key: bytes) -> tuple[str, str]:
    """Return the Redis list and the message, in the form of kombu's Redis transport but without its overhead."""
    level = broker_priority(row["priority"])
    return _list(row["queue"], level), json.dumps(_message(row, level, key))


def repeated(request: Any) -> tuple[str, str]:
    """Return the list and message again for one that Celery took, from the `request` of its task."""
    where = request.delivery_info
    level, queue = int(where["priority"] or 0), where["routing_key"]
    above: _Above = {"root_id": request.root_id, "parent_id": request.parent_id}
    headers = _headers(request.task, request.id, above, request.kwargsrepr, request.retries) | request.headers
    return _list(queue, level), json.dumps(_enclosed(headers, queue, level))


def passed_on(headers: dict[str, Any], queue: str, level: int) -> tuple[str, str] | None:
    """Return the list and message to pass on a bell for whose step a worker has no code. None if it has been passed
    on often enough, or is no bell of ours."""
    passes = headers.get(PASSES_HEADER, 0)
    if envelope.HEADER not in headers or passes not in range(PASSES):
        return None
    return _list(queue, level), json.dumps(_enclosed(headers | {PASSES_HEADER: passes + 1}, queue, level))


def _list(queue: str, level: int) -> str:
    return f"{queue}{_SEPARATOR}{level}" if level else queue


def _message(row: BellRow, level: int, key: bytes) -> dict[str, Any]:
    above: _Above = {"root_id": str(row["root_id"]), "parent_id": str(row["parent_id"]) if row["parent_id"] else None}
    kwargs = f"{{'task': '{row['id']}', 'step_number': {row['step_number']}}}"
    headers = {
        **_headers(f"{row['agent']}.{row['step']}", message_id(row), above, kwargs, row["attempt"]),
        envelope.HEADER: envelope.sign_text(json.dumps(_envelope(row, above)), key),
        **({"traceparent": row["traceparent"]} if row["traceparent"] else {}),
    }
    return _enclosed(headers, row["queue"], level)


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


def _enclosed(headers: dict[str, Any], queue: str, level: int) -> dict[str, Any]:
    return {
        "body": _BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "correlation_id": headers["id"],
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": level,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }


def _envelope(row: BellRow, above: _Above) -> dict[str, Any]:
    left = remaining(budget_of(row), spend_of(row) + reserved_of(row))
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

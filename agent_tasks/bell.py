"""The bell: a Celery message on Redis that says a task's step is ready to be claimed."""

import base64
import json
from typing import Any
from uuid import uuid4

from redis.client import Pipeline

from agent_tasks import envelope
from agent_tasks.envelope import Envelope
from agent_tasks.snapshots import TaskSnapshot

_BODY = base64.b64encode(json.dumps([[], {}, {}]).encode()).decode()
_SEPARATOR = "\x06\x16"  # kombu.transport.redis.Channel.sep
PRIORITY_STEPS = (0, 3, 6, 9)
"""kombu keeps one Redis list per step; 0 is taken first."""


def broker_priority(priority: int) -> int:
    """The Redis list for a task's priority: 9 is the most urgent for us, 0 for Redis."""
    wanted = 9 - priority
    return max(step for step in PRIORITY_STEPS if step <= wanted)


def queue_keys(queue: str) -> list[str]:
    """The Redis lists that hold a queue's messages, as kombu's Redis transport names them."""
    return [f"{queue}{_SEPARATOR}{level}" if level else queue for level in PRIORITY_STEPS]


def message_id(snapshot: TaskSnapshot) -> str:
    """The Celery id of a bell: another one for each, so that revoking one does not silence those after it."""
    return f"{snapshot.id}:{snapshot.step_number}:{snapshot.version}"


def ring(snapshot: TaskSnapshot, priority: int, key: bytes, pipeline: Pipeline) -> None:
    """Queue the message on `pipeline`, written as kombu's Redis transport writes it, without its overhead."""
    level = broker_priority(priority)
    queue = snapshot.queue
    pipeline.lpush(f"{queue}{_SEPARATOR}{level}" if level else queue, json.dumps(_message(snapshot, level, key)))


def _message(snapshot: TaskSnapshot, level: int, key: bytes) -> dict[str, Any]:
    identifier = message_id(snapshot)
    sealed = envelope.sign(
        Envelope(
            task_id=snapshot.id,
            root_id=snapshot.root_id,
            parent_id=snapshot.parent_id,
            agent=snapshot.agent,
            step=snapshot.step,
            step_number=snapshot.step_number,
            identity=snapshot.identity,
            session_id=snapshot.session_id,
            budget=_left(snapshot),
        ),
        key,
    )
    return {
        "body": _BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": f"{snapshot.agent}.{snapshot.step}",
            "id": identifier,
            "root_id": str(snapshot.root_id),
            "parent_id": str(snapshot.parent_id) if snapshot.parent_id else None,
            "argsrepr": "(***)",
            "kwargsrepr": f"{{'task': '{snapshot.id}', 'step_number': {snapshot.step_number}}}",
            "retries": snapshot.attempt,
            "ignore_result": True,
            "eta": None,
            "expires": None,
            "group": None,
            "timelimit": [None, None],
            envelope.HEADER: sealed,
            **({"traceparent": snapshot.traceparent} if snapshot.traceparent else {}),
        },
        "properties": {
            "correlation_id": identifier,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": snapshot.queue},
            "priority": level,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }


def _left(snapshot: TaskSnapshot) -> dict[str, Any]:
    left = snapshot.budget.remaining
    amounts = {name: getattr(left, name) for name in ("seconds", "tokens", "usd", "steps", "calls")}
    return {name: amount for name, amount in amounts.items() if amount is not None}

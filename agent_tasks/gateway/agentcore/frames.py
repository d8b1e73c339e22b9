"""Frames: what a task emits, as the SDK's app streams what a generator yields."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway.agentcore.answers import going, raised, written
from agent_tasks.gateway.event_page import read_page
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.patience import looks_until_end, read_patiently
from agent_tasks.store.errors import Transient
from agent_tasks.task.event import EventType
from agent_tasks.task.snapshot import TaskSnapshot

log = logging.getLogger(__name__)
_SYSTEM = frozenset(EventType)


async def frames(gate: Gate, task: TaskHandle) -> AsyncGenerator[str]:
    """The data of each `ctx.emit` as it is committed, and at last the result where there is one, or the error."""
    after = 0
    try:
        async with aclosing(looks_until_end(gate, task)) as looks:
            async for seen in looks:
                while True:
                    page = await read_patiently(gate, task, lambda _, after=after: read_page(task, after))
                    for event, _ in page.events:
                        if event.type not in _SYSTEM:
                            yield _frame(event.data)
                    after = page.after
                    if not page.is_cut:
                        break
                if seen.status.is_terminal:
                    for value in _end(seen):
                        yield _frame(value)
                    return
        yield _frame(_error(going(task), "ShuttingDown"))
    except (AgentTaskError, Transient) as error:
        log.warning("stream of an invocation ended: task=%s %s", task.id, error)
        yield _frame(_error(str(error), type(error).__name__))


def _end(task: TaskSnapshot) -> list[Any]:
    if task.error is None:
        return [] if task.result is None else [task.result]
    kind = task.error.details.get("exception") or str(task.error.type)
    return [_error(raised(task.error)[1], kind)]


def _error(text: str, kind: Any) -> dict[str, Any]:
    return {"error": text, "error_type": kind, "message": "An error occurred during streaming"}


def _frame(value: Any) -> str:
    return f"data: {written(value)}\n\n"

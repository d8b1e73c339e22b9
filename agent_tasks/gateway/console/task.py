"""*Task*: why it stands where it does, what it did and spent, and what can be done with it."""

import difflib
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from agent_tasks.client.calls import CallInfo
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.tree import TreeNode
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.console.answering import answerings
from agent_tasks.gateway.console.attempts import attempts
from agent_tasks.gateway.console.matter import matters
from agent_tasks.gateway.console.timeline import timeline
from agent_tasks.gateway.console.trace import Trace
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.gateway.stages.route import find
from agent_tasks.store.queries import console, read
from agent_tasks.task.budget import RESOURCES
from agent_tasks.task.event import Event, EventType
from agent_tasks.task.snapshot import TaskSnapshot

READS = ("all", "from", "to", "zoom", "fork")
_TIMELINE, _EVENTS, _CALLS = 1_000, 200, 100
"""Of events those of which the timeline is made, and those that are listed."""
_ALL_EVENTS, _ALL_CALLS = 10_000, 1_000
_SPANS, _CHECKPOINTS, _LOGS, _SIGNALS, _CHILDREN = 60, 100, 200, 50, 200
_OWN = frozenset(EventType)
_ZOOMS = ("1", "2", "4", "8")


def look(look: Look) -> dict[str, Any]:
    """What the page shows. Raises TaskNotFound."""
    return shown(look, sees_payloads=False)


def shown(look: Look, *, sees_payloads: bool) -> dict[str, Any]:
    """What the page shows, of a sensitive task with or without its payloads. Raises TaskNotFound."""
    handle = find(look.gate, look.caller, look.path["id"])
    task = handle.stored()
    is_whole = look.first("all") != ""
    most_events, most_calls = (_ALL_EVENTS, _ALL_CALLS) if is_whole else (_TIMELINE, _CALLS)
    with look.client.database.connection() as connection:
        given = console.payloads(connection, handle.id)
        now = console.now(connection)["now"]
        checkpoints = console.checkpoints(connection, handle.id, _CHECKPOINTS)
        signals = console.signals(connection, handle.id, _SIGNALS)
        rows = console.latest_events(connection, handle.id, most_events)
        call_rows = console.latest_calls(connection, handle.id, most_calls + 1)
        children = read.children_by_status(connection, handle.id)
    is_hidden = given is not None and given["sensitive"] and not sees_payloads
    events = [Event.model_construct(**row) for row in rows]
    calls = [CallInfo.model_construct(**row) for row in call_rows[-most_calls:]]
    spans = timeline(events, calls, now)
    rows_shown = [span for span in spans if span.kind != "queued" or span.seconds >= 1 or span.is_open]
    listed = events if is_whole else events[-_EVENTS:]
    waits = task.waiting_for is not None and task.waiting_for.kind == "signal"
    return {
        "task": task,
        "input": None if given is None or is_hidden else given["input"],
        "is_sensitive": given is not None and given["sensitive"],
        "is_hidden": is_hidden,
        "may_see_payloads": look.visitor.sees_payloads,
        "is_whole": is_whole,
        "spans": rows_shown if is_whole else rows_shown[-_SPANS:],
        "has_earlier_spans": bool(rows) and (rows[0]["seq"] > 1 or (not is_whole and len(rows_shown) > _SPANS)),
        "attempts": attempts(spans, task, is_hidden=is_hidden),
        "zoom": look.first("zoom") if look.first("zoom") in _ZOOMS else "1",
        "zooms": _ZOOMS,
        "events": list(reversed(listed)),
        "events_left_out": listed[0].seq - 1 if listed else 0,
        "most_events": _ALL_EVENTS,
        "own_types": _OWN,
        "calls": calls,
        "has_earlier_calls": len(call_rows) > most_calls,
        "checkpoints": checkpoints,
        "difference": None if is_hidden else _difference(look, handle.id),
        "signals": signals,
        "logs": handle.logs()[-_LOGS:],
        "traceback": None if is_hidden or task.error is None else handle.traceback(),
        "children": children,
        "tree": _tree(handle, children),
        "budget": _budget(task),
        "answerings": answerings(look.client, task) if look.visitor.may("tasks:signal") else [],
        "matter": matters(look.client, [task]).get(task.id) if waits and not is_hidden else None,
        "fork": None if is_hidden or task.finished_at is None else _fork(look, handle.id),
        "trace": Trace.of(task, look.gate.settings.trace_url),
        "elapsed": ((task.finished_at or now) - task.created_at).total_seconds() if task.finished_at else None,
        "public_url": look.gate.settings.public_url.rstrip("/"),
        "wrong": None,
    }


def _fork(look: Look, task_id: UUID) -> dict[str, Any] | None:
    """The step that the address names, with what it was given, to be edited; None where it names none."""
    number = look.first("fork")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        return None
    with look.client.database.connection() as connection:
        state = console.given(connection, task_id, int(number))
    if state is None:
        raise InvalidInput("There is no such step of this task. Choose one of the list.", field="fork")
    return {"step": int(number), "state": json.dumps(state["state"], indent=2, ensure_ascii=False)}


def _difference(look: Look, task_id: UUID) -> dict[str, Any] | None:
    """What changed between the states of two checkpoints that the address names; None where it names none."""
    first, last = look.first("from"), look.first("to")
    if not (first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal() and len(first + last) < 18):
        return None
    numbers = [int(first), int(last)]
    with look.client.database.connection() as connection:
        states = console.states(connection, task_id, numbers)
    if not all(number in states for number in numbers):
        raise InvalidInput("There is no such checkpoint of this task. Choose two of its list.", field="from")
    before, after = ([*_lines(states[number]["state"])] for number in numbers)
    lines = list(difflib.ndiff(before, after))
    return {"from": numbers[0], "to": numbers[1], "lines": [line for line in lines if not line.startswith("?")][:2000]}


def _lines(state: Any) -> Sequence[str]:
    return json.dumps(state, indent=2, ensure_ascii=False, sort_keys=True).splitlines()


def _tree(handle: TaskHandle, children: dict[str, int]) -> list[tuple[int, TaskSnapshot]]:
    """The tasks below, each with its depth, parents first; the first ones where they are many."""
    if not children:
        return []
    if sum(children.values()) > _CHILDREN:
        return [(1, task) for task in handle.page_of_children(limit=_CHILDREN).tasks]
    found: list[tuple[int, TaskSnapshot]] = []

    def add(node: TreeNode, depth: int) -> None:
        for child in node.children:
            if len(found) < _CHILDREN:
                found.append((depth, child.snapshot))
                add(child, depth + 1)

    add(handle.tree(), 1)
    return found


def _budget(task: TaskSnapshot) -> list[dict[str, Any]]:
    """What was spent and reserved of each resource, beside its limit."""
    state = task.budget
    rows: list[dict[str, Any]] = []
    for name in RESOURCES:
        limit, spent = getattr(state.limit, name), getattr(state.spent, name, 0) or 0
        reserved = getattr(state.reserved, name, 0) or 0
        if limit is not None or spent:
            share = min(100.0, 100 * (spent + reserved) / limit) if limit else None
            rows.append({"name": name, "limit": limit, "spent": spent, "reserved": reserved, "share": share})
    return rows

"""*Tasks*: those of a filter that stands in the address, the newest first."""

from typing import Any

from agent_tasks.client.listing import Page
from agent_tasks.errors import ErrorType, InvalidInput
from agent_tasks.gateway.console.asked import FIELDS, Asked
from agent_tasks.gateway.console.histogram import Bar, histogram
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.store.queries import console, search
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import TaskFilter

PAGE = 50
READS = (*FIELDS, "after")
_IN_HISTOGRAM = 1_000
_FAILED = (TaskStatus.FAILED, TaskStatus.TIMEOUT, TaskStatus.PARTIAL)


def look(look: Look) -> dict[str, Any]:
    """What the page shows: the tasks, or what is wrong with the filter."""
    asked = Asked.of(look.query)
    shown: dict[str, Any] = {
        "asked": asked,
        "statuses": [str(each) for each in TaskStatus],
        "error_types": [str(each) for each in ErrorType],
        "tasks": [],
        "next": None,
        "bars": [],
        "bars_are_cut": 0,
        "by_end": False,
        "wrong": None,
        "hidden": set(),
        "is_first": not look.first("after"),
    }
    try:
        wanted = asked.filter
        found = look.client.search(wanted, limit=PAGE, after=look.first("after") or None, identity=look.caller.viewer)
    except InvalidInput as error:
        return {**shown, "wrong": error.message}
    with look.client.database.connection() as connection:
        hidden = console.sensitive(connection, [task.id for task in found.tasks])
    next = asked.address(after=found.next) if found.next else None
    bars = _bars(look, wanted, found) if shown["is_first"] else []
    return {
        **shown,
        "tasks": found.tasks,
        "next": next,
        "hidden": hidden,
        "bars": bars,
        "bars_are_cut": _IN_HISTOGRAM if sum(bar.tasks for bar in bars) >= _IN_HISTOGRAM else 0,
        "by_end": wanted.is_of_ended,
    }


def _bars(look: Look, wanted: TaskFilter, found: Page) -> list[Bar]:
    """When the newest of them were submitted, or have ended where the filter names such times."""
    if found.next is None:
        times = [(task.finished_at if wanted.is_of_ended else task.created_at, task.status) for task in found.tasks]
    else:
        columns = "tasks.id, tasks.status, tasks.created_at, tasks.finished_at"
        with look.client.database.connection() as connection:
            rows = search.tasks(
                connection, wanted, identity=look.caller.viewer, limit=_IN_HISTOGRAM, columns=columns
            ).rows
        times = [(row["finished_at"] if wanted.is_of_ended else row["created_at"], row["status"]) for row in rows]
    return histogram([(at, status in _FAILED) for at, status in times if at is not None])

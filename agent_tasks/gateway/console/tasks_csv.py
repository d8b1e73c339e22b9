"""/console/tasks.csv: the tasks of a filter as a table for a spreadsheet."""

import csv
import io
from collections.abc import Iterator

from fastapi import Response

from agent_tasks.gateway.console.asked import Asked
from agent_tasks.gateway.console.visit import Visit
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.store.queries import console
from agent_tasks.task.snapshot import TaskSnapshot

MOST = 1_000
_COLUMNS = (
    "id", "agent", "status", "step", "step_number", "attempt", "queue", "tenant", "subject", "session_id", "created_at",
    "started_at", "finished_at", "waiting_for", "waits_since", "error_type", "error", "seconds", "tokens", "usd",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


async def answer(visit: Visit) -> Response:
    """The first thousand of what the page *Tasks* shows for this address."""

    def rows(look: Look) -> str:
        found = look.client.search(Asked.of(look.query).filter, limit=MOST, identity=look.caller.viewer)
        with look.client.database.connection() as connection:
            hidden = console.sensitive(connection, [task.id for task in found.tasks])
        text = io.StringIO()
        table = csv.writer(text, quoting=csv.QUOTE_ALL)
        table.writerow(_COLUMNS)
        for task in found.tasks:
            table.writerow([_cell(value) for value in _row(task, is_hidden=task.id in hidden)])
        return text.getvalue()

    text = await visit.look(OPERATIONS["list_tasks"], rows)
    head = {
        "Content-Disposition": 'attachment; filename="tasks.csv"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Response(text, media_type="text/csv", headers=head)


def _row(task: TaskSnapshot, *, is_hidden: bool) -> Iterator[object]:
    who, waiting, error, spent = task.identity, task.waiting_for, task.error, task.budget.spent
    yield from (task.id, task.agent, task.status, task.step, task.step_number, task.attempt, task.queue)
    yield from (who.tenant if who else "", who.subject if who else "", task.session_id)
    yield from (task.created_at, task.started_at, task.finished_at)
    yield from ((waiting.kind, waiting.since) if waiting else ("", ""))
    yield from ((error.type, "" if is_hidden else error.message) if error else ("", ""))
    yield from (spent.seconds, spent.tokens, spent.usd)


def _cell(value: object) -> str:
    """A value as text that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text

"""/console/tasks.csv: the tasks of a filter as a table for a spreadsheet, written page by page as it is read."""

import csv
import io
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from fastapi import Response
from fastapi.responses import StreamingResponse

from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.console.asked import Asked
from agent_tasks.gateway.console.visit import Visit, admitted_of
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.store.queries import console
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.task_filter import TaskFilter

_PAGE = 1_000
_COLUMNS = (
    "id", "agent", "status", "step", "step_number", "attempt", "queue", "tenant", "subject", "session_id", "created_at",
    "started_at", "finished_at", "waiting_for", "waits_since", "error_type", "error", "seconds", "tokens", "usd",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_HEAD = {
    "Content-Disposition": 'attachment; filename="tasks.csv"',
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class _Part:
    text: str
    next: str | None


async def answer(visit: Visit) -> Response:
    """All that the page *Tasks* shows for this address, on as many pages as there are."""
    asked = Asked.of(visit.query)

    def first(look: Look) -> _Part:
        return _part(look.gate, look.caller, asked.filter, None)

    part = await visit.look(OPERATIONS["list_tasks"], first)
    caller = admitted_of(visit).caller
    return StreamingResponse(
        _pieces(visit.gate, caller, asked.filter, part), media_type="text/csv", headers=_HEAD
    )  # what goes wrong from here on breaks the stream off, and so the download


async def _pieces(gate: Gate, caller: Caller, wanted: TaskFilter, part: _Part) -> AsyncGenerator[str]:
    yield _written([_COLUMNS])
    yield part.text
    while part.next is not None:
        after = part.next
        part = await gate.in_thread(lambda gate, after=after: _part(gate, caller, wanted, after))
        yield part.text


def _part(gate: Gate, caller: Caller, wanted: TaskFilter, after: str | None) -> _Part:
    found = gate.client.search(wanted, limit=_PAGE, after=after, identity=caller.viewer)
    with gate.client.database.connection() as connection:
        hidden = console.sensitive(connection, [task.id for task in found.tasks])
    rows = [tuple(_row(task, is_hidden=task.id in hidden)) for task in found.tasks]
    return _Part(_written(rows), found.next)


def _written(rows: "list[tuple[object, ...]]") -> str:
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL)
    table.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


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

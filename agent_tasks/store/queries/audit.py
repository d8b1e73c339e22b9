"""Reading the audit, the newest row first."""

from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.queries.walk import LOOKED_AT, page
from agent_tasks.task.arguments import LARGEST_BIGINT

NEWEST = LARGEST_BIGINT
_ALONG = ("task_id", "tenant", "own_tenant")
_COLUMNS: LiteralString = "id, at, tenant, subject, key_id, door, origin, operation, task_id, target, data, answer"
_CONDITIONS: dict[str, LiteralString] = {
    "tenant": "tenant = %(tenant)s",
    "own_tenant": "tenant = %(own_tenant)s",
    "subject": "subject = %(subject)s",
    "own_subject": "subject = %(own_subject)s",
    "task_id": "task_id = %(task_id)s",
    "operation": "operation = %(operation)s",
    "door": "door = %(door)s",
}


class AuditRow(TypedDict):
    """A row of the audit."""

    id: int
    at: datetime
    tenant: str
    subject: str | None
    key_id: str | None
    door: str
    origin: str
    operation: str
    task_id: UUID | None
    target: str | None
    data: dict[str, Any] | None
    answer: str


class FoundRow(AuditRow):
    """A row that was found, and where the look ended if the page is not full."""

    edge: int | None


def entries(
    connection: Connection, *, after: int, limit: int, looked_at: int = LOOKED_AT, **asked: Any
) -> list[AuditRow]:
    """Find the newest rows with an id below `after` that match what is `asked`; None matches all.

    It goes on, `looked_at` rows at a time, until there are `limit` or no more.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    along = [name for name in _ALONG if name in given]
    sql = page("audit", _COLUMNS, _CONDITIONS, along=along, asked=[name for name in given if name not in along])
    rows: list[AuditRow] = []
    edge: int | None = after
    while edge is not None and len(rows) < limit:
        values = {**given, "after": edge, "limit": limit - len(rows), "looked_at": looked_at}
        found: list[FoundRow] = connection.execute(sql, values, prepare=False).fetchall()
        rows += [row for row in found if row["id"] is not None]  # pyright: ignore[reportUnnecessaryComparison]
        edge = found[0]["edge"]
    return rows

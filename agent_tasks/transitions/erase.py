"""terminal → nothing: trees are deleted on request, whatever their retention, with all that is kept of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.transitions.purge import read_from
from agent_tasks.transitions.threads import delete_threads

_OF: LiteralString = "ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))"
_LOCK = f"""
    SELECT id, root_id, finished_at IS NULL AS lives FROM agent_tasks.tasks WHERE root_id = {_OF}
    ORDER BY id FOR UPDATE
"""
_TABLES: tuple[LiteralString, ...] = (
    "labels", "checkpoints", "calls", "charges", "events", "signals", "logs", "hooks", "idempotency_keys", "outbox",
    "deliveries", "a2a_pushes", "agentcore_invocations", "agentcore_jobs",
)  # fmt: skip
"""What is kept of tasks, by their ids. Not the audit: who did what stays, without any payload."""


class _LockedRow(TypedDict):
    id: UUID
    root_id: UUID
    lives: bool


@dataclass(frozen=True)
class Erased:
    """What was deleted, and what was not."""

    tables: Counter[str] = field(default_factory=Counter[str])
    """Rows, by the table that had them."""
    trees: frozenset[UUID] = frozenset()
    """The roots of the trees that went."""
    tasks: tuple[UUID, ...] = ()
    kept: dict[UUID, str] = field(default_factory=dict[UUID, str])
    """Why the others stay, by their roots."""


def erase(connection: Connection, roots: Sequence[UUID]) -> Erased:
    """Delete the trees of these roots that have ended, within a transaction; those that live stay, and are named."""
    if not roots:
        return Erased()
    locked: list[_LockedRow] = connection.execute(_LOCK, {"ids": list(roots)}, prepare=False).fetchall()
    living = {row["root_id"] for row in locked if row["lives"]}
    kept = dict.fromkeys(living, "a task of its tree has not ended")
    tree_of = {row["id"]: row["root_id"] for row in locked if row["root_id"] not in living}
    needed = read_from(connection, tree_of)
    kept |= dict.fromkeys(needed, "a task that lives was resumed from it")
    tasks = [task for task, root in tree_of.items() if root not in needed]
    if not tasks:
        return Erased(kept=kept)
    tables = Counter(langgraph=delete_threads(connection, tasks))
    for table in _TABLES:
        gone = f"DELETE FROM agent_tasks.{table} WHERE task_id = {_OF}"
        tables[table] = connection.execute(gone, {"ids": tasks}, prepare=False).rowcount
    tables["tasks"] = connection.execute(
        f"DELETE FROM agent_tasks.tasks WHERE id = {_OF}", {"ids": tasks}, prepare=False
    ).rowcount
    return Erased(+tables, frozenset(tree_of.values()) - needed, tuple(tasks), kept)


_OWNED: LiteralString = """
    DELETE FROM agent_tasks.{table} WHERE tenant = %(tenant)s
        AND (%(subject)s::text IS NULL OR {subject} = %(subject)s)
"""
_OF_OWNERS: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("schedules", "options -> 'identity' ->> 'subject'"),
    ("idempotency_keys", "subject"),
)
"""Tables of which a tenant has few rows, or a subject is in the key, and how a subject is found in them."""

# In the order of an index that begins with the tenant, and so many at once, whomever they are of.
_TOLD: LiteralString = """
    WITH looked AS MATERIALIZED (
        SELECT ctid AS place, subject, {column} AS at, id FROM agent_tasks.{table}
        WHERE tenant = %(tenant)s AND ({column}, id) > (%(at)s::{kind}, %(id)s::{id_kind})
        ORDER BY {column}, id LIMIT (SELECT %(limit)s::int)
    ), gone AS (
        DELETE FROM agent_tasks.{table} WHERE ctid = ANY (ARRAY(
            SELECT place FROM looked WHERE %(subject)s::text IS NULL OR subject = %(subject)s))
        RETURNING id
    )
    SELECT (SELECT count(*) FROM gone) AS rows, at::text AS at, id::text AS id FROM looked
    ORDER BY looked.at DESC, looked.id DESC LIMIT 1
"""
_OUTBOX = _TOLD.format(table="outbox", column="xid", kind="xid8", id_kind="bigint")
_DELIVERIES = _TOLD.format(table="deliveries", column="created_at", kind="timestamptz", id_kind="uuid")
_MOST = 10_000


class _ToldRow(TypedDict):
    rows: int
    at: str
    id: str


def erase_owned(connection: Connection, tenant: str, subject: str | None) -> Counter[str]:
    """Delete what is kept of a subject in a tenant, or of all of a tenant, beside the tasks; returns rows by table."""
    tables = Counter[str]()
    values = {"tenant": tenant, "subject": subject}
    for table, column in _OF_OWNERS:
        gone = _OWNED.format(table=table, subject=column)
        tables[table] = connection.execute(gone, values, prepare=False).rowcount
    tables["outbox"] = _erase_told(connection, _OUTBOX, tenant, subject, ("0", "0"))
    tables["deliveries"] = _erase_told(connection, _DELIVERIES, tenant, subject, ("-infinity", str(UUID(int=0))))
    return +tables


def _erase_told(
    connection: Connection, statement: LiteralString, tenant: str, subject: str | None, first: tuple[str, str]
) -> int:
    """Walk the rows of a tenant from the oldest on, and delete the subject's; returns how many."""
    total, (at, id) = 0, first
    while True:
        values = {"tenant": tenant, "subject": subject, "at": at, "id": id, "limit": _MOST}
        row: _ToldRow | None = connection.execute(statement, values, prepare=False).fetchone()
        if row is None:
            return total
        total, at, id = total + row["rows"], row["at"], row["id"]

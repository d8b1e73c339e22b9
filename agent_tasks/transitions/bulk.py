"""running → done, stopped or failed: an operation on many tasks, which goes on from the place where it has come to."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.search import Place
from agent_tasks.task.identity import Identity
from agent_tasks.transitions import audit

COLUMNS: LiteralString = """
    tasks.id, tasks.status, tasks.finished_at, tasks.acknowledged_at, tasks.ending, tasks.parent_id, tasks.queue,
    tasks.priority, tasks.waiting_for
"""
"""The columns of a task by which it is known whether an operation means it."""
MOST_PROBLEMS = 20
"""Tasks that could not be changed, of which the reason is kept."""


class BulkRow(TypedDict):
    """All columns of a bulk operation."""

    id: UUID
    operation: str
    filter: dict[str, Any]
    options: dict[str, Any]
    status: str
    tenant: str
    identity: dict[str, Any] | None
    asked_by: dict[str, Any] | None
    most: int | None
    after_id: UUID | None
    after_at: datetime | None
    matched: int
    done: int
    passed_over: int
    failed: int
    problems: list[dict[str, Any]]
    idempotency_key: str | None
    request_digest: bytes | None
    audit_id: int | None
    due_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


_MAY_ACCESS: LiteralString = """
    (%(viewer)s::text IS NULL OR bulks.identity IS NOT NULL AND bulks.tenant = %(viewer_tenant)s
        AND (%(sees_all)s OR bulks.identity ->> 'subject' = %(viewer)s))
"""
_LATER: LiteralString = "clock_timestamp() + make_interval(secs => %(seconds)s)"

_BEGIN = f"""
    INSERT INTO agent_tasks.bulks (id, operation, filter, options, tenant, identity, asked_by, most, due_at, problems,
        idempotency_key, request_digest)
    VALUES (%(id)s, %(operation)s, %(filter)s::jsonb, %(options)s::jsonb, coalesce(%(viewer_tenant)s, ''),
        %(identity)s::jsonb, %(asked_by)s::jsonb, %(most)s, {_LATER}, %(problems)s::jsonb, %(key)s, %(digest)s)
    ON CONFLICT ((coalesce(asked_by ->> 'tenant', '')), (coalesce(asked_by ->> 'subject', '')), idempotency_key)
        WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING *
"""
_OF_KEY: LiteralString = """
    coalesce(asked_by ->> 'tenant', '') = coalesce(%(asked_by)s::jsonb ->> 'tenant', '')
        AND coalesce(asked_by ->> 'subject', '') = coalesce(%(asked_by)s::jsonb ->> 'subject', '')
        AND idempotency_key = %(key)s
"""
_FREE_KEY = f"""
    UPDATE agent_tasks.bulks SET idempotency_key = NULL, request_digest = NULL
    WHERE {_OF_KEY} AND created_at < clock_timestamp() - make_interval(secs => %(key_seconds)s)
"""
_BEGUN = f"SELECT * FROM agent_tasks.bulks WHERE {_OF_KEY}"
_AUDITED = "UPDATE agent_tasks.bulks SET audit_id = %(audit_id)s WHERE id = %(id)s"

# What was sent with it goes with its end: a payload is kept with the tasks that have got it.
_MOVE = f"""
    UPDATE agent_tasks.bulks SET
        matched = matched + %(matched)s, done = done + %(done)s, passed_over = passed_over + %(passed_over)s,
        failed = failed + %(failed)s, after_id = %(after_id)s, after_at = %(after_at)s,
        problems = CASE WHEN jsonb_array_length(problems) < %(most_problems)s THEN problems || %(problems)s::jsonb
            ELSE problems END,
        status = CASE WHEN %(is_last)s THEN 'done' ELSE status END,
        options = CASE WHEN %(is_last)s THEN options - 'payload' ELSE options END,
        finished_at = CASE WHEN %(is_last)s THEN clock_timestamp() END,
        due_at = CASE WHEN NOT %(is_last)s THEN {_LATER} END
    WHERE id = %(id)s AND status = 'running'
    RETURNING *
"""
_END = f"""
    UPDATE agent_tasks.bulks SET status = %(status)s, options = options - 'payload', finished_at = clock_timestamp(),
        due_at = NULL, problems = problems || %(problems)s::jsonb
    WHERE id = %(id)s AND status = 'running' AND {_MAY_ACCESS}
    RETURNING *
"""
_FIND = f"SELECT * FROM agent_tasks.bulks WHERE id = %(id)s AND {_MAY_ACCESS}"
_LATEST = f"""
    SELECT * FROM (SELECT * FROM agent_tasks.bulks ORDER BY id DESC LIMIT 1000) AS bulks
    WHERE {_MAY_ACCESS} ORDER BY id DESC LIMIT %(limit)s
"""
_DUE = """
    SELECT id FROM agent_tasks.bulks WHERE finished_at IS NULL AND due_at <= statement_timestamp()
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
_POSTPONE = f"UPDATE agent_tasks.bulks SET due_at = {_LATER} WHERE id = %(id)s AND status = 'running'"
_PURGE = """
    DELETE FROM agent_tasks.bulks WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM agent_tasks.bulks
        WHERE finished_at < statement_timestamp() - make_interval(secs => %(seconds)s)
        ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
"""
# Whoever resumes them at the same time waits here, and then sees that they were.
_LOCK_UNRESUMED = """
    SELECT id FROM agent_tasks.tasks WHERE id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[]))) ORDER BY id
    FOR NO KEY UPDATE
"""
_RESUMED = """
    SELECT DISTINCT resumed_from AS id FROM agent_tasks.tasks
    WHERE resumed_from = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))
"""


class _IdRow(TypedDict):
    id: UUID


def begin(
    connection: Connection,
    id: UUID,
    operation: str,
    *,
    filter: dict[str, Any],
    options: dict[str, Any],
    problems: Sequence[dict[str, Any]],
    most: int | None,
    identity: Identity | None,
    asked_by: Identity | None,
    seconds: float,
    told: dict[str, Any],
    key: str | None,
    digest: bytes,
    key_seconds: float,
) -> BulkRow:
    """Keep an operation that begins, in the transaction of its one row of the audit, whose data is `told`.

    `seconds`: from when on a sweep goes on with it, unless whoever began it does. Where one with the same `key` was
    begun within `key_seconds`, that one is returned, of whatever request; a rival with the key waits for its commit.
    """
    values = {
        "id": id,
        "operation": operation,
        "filter": json.dumps(filter),
        "options": json.dumps(options),
        "problems": json.dumps(list(problems)),
        "identity": json.dumps(identity.model_dump(mode="json")) if identity else None,
        "asked_by": json.dumps(asked_by.model_dump(mode="json")) if asked_by else None,
        "most": most,
        "seconds": seconds,
        "key": key,
        "digest": digest if key is not None else None,
        "key_seconds": key_seconds,
        **viewer(identity),
    }
    while True:
        if key is not None:
            connection.execute(_FREE_KEY, values)
        row: BulkRow | None = connection.execute(_BEGIN, values).fetchone()
        if row is not None:
            audit_id = audit.write(connection, "bulk", asked_by, target=operation, data=told)
            connection.execute(_AUDITED, {"id": id, "audit_id": audit_id})
            return {**row, "audit_id": audit_id}
        # a second statement: the loser of a race does not see the winner's row in its own INSERT's snapshot
        if (begun := connection.execute(_BEGUN, values).fetchone()) is not None:
            return begun


def lock(connection: Connection, id: UUID) -> BulkRow | None:
    """Lock an operation: who else goes on with it waits, and then finds it further on."""
    return connection.execute("SELECT * FROM agent_tasks.bulks WHERE id = %s FOR UPDATE", [id]).fetchone()


def move(
    connection: Connection,
    row: BulkRow,
    place: Place | None,
    *,
    matched: int,
    done: int,
    failed: int,
    problems: Sequence[dict[str, Any]],
    is_last: bool,
    seconds: float,
) -> BulkRow:
    """Note, in the transaction that changed the tasks, how far a locked operation has come."""
    values = {
        "id": row["id"],
        "matched": matched,
        "done": done,
        "failed": failed,
        "passed_over": matched - done - failed,
        "after_id": place.id if place else None,
        "after_at": place.at if place else None,
        "problems": json.dumps(list(problems)[: MOST_PROBLEMS - len(row["problems"])]),
        "is_last": is_last,
        "most_problems": MOST_PROBLEMS,
        "seconds": seconds,
    }
    moved: BulkRow | None = connection.execute(_MOVE, values).fetchone()
    assert moved is not None  # it is locked
    if is_last:
        _tell(connection, moved)
    return moved


def end(
    connection: Connection,
    id: UUID,
    status: str,
    *,
    identity: Identity | None = None,
    problem: dict[str, Any] | None = None,
) -> BulkRow | None:
    """Stop an operation, or note that it failed, once the batch under way is committed; None where it had ended."""
    problems = json.dumps([problem] if problem else [])
    values = {"id": id, "status": status, "problems": problems, **viewer(identity)}
    row: BulkRow | None = connection.execute(_END, values).fetchone()
    if row is not None:
        _tell(connection, row)
    return row


def _tell(connection: Connection, row: BulkRow) -> None:
    """Complete the row of the audit by what became of the operation."""
    if row["audit_id"] is not None:
        audit.add(
            connection,
            row["audit_id"],
            {name: row[name] for name in ("status", "matched", "done", "passed_over", "failed")},
        )


def find(connection: Connection, id: UUID, identity: Identity | None) -> BulkRow | None:
    return connection.execute(_FIND, {"id": id, **viewer(identity)}).fetchone()


def latest(connection: Connection, identity: Identity | None, limit: int) -> list[BulkRow]:
    """The operations that began last among those that `identity` may see."""
    return connection.execute(_LATEST, {"limit": limit, **viewer(identity)}).fetchall()


def due(connection: Connection, *, limit: int) -> list[UUID]:
    """The operations that nobody goes on with."""
    rows: list[_IdRow] = connection.execute(_DUE, {"limit": limit}).fetchall()
    return [row["id"] for row in rows]


def postpone(connection: Connection, id: UUID, *, seconds: float) -> None:
    """Let an operation wait that met rivals: the others come first."""
    connection.execute(_POSTPONE, {"id": id, "seconds": seconds})


def purge(connection: Connection, *, limit: int, seconds: float) -> int:
    """Delete operations that ended more than `seconds` ago, the oldest first."""
    return connection.execute(_PURGE, {"limit": limit, "seconds": seconds}, prepare=False).rowcount


def unresumed(connection: Connection, task_ids: Sequence[UUID]) -> set[UUID]:
    """Lock these tasks; returns those that nobody has resumed."""
    values = {"ids": list(task_ids)}
    locked: list[_IdRow] = connection.execute(_LOCK_UNRESUMED, values, prepare=False).fetchall()
    resumed: list[_IdRow] = connection.execute(_RESUMED, values, prepare=False).fetchall()
    return {row["id"] for row in locked} - {row["id"] for row in resumed}

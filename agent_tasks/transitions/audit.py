"""nothing → nothing: who wrote what, through which door, is kept beside what was written."""

import json
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.storable import storable
from agent_tasks.store.database import Connection
from agent_tasks.task.identity import Identity
from agent_tasks.task.origin import current

ACCEPTED = "accepted"
_LONGEST = 200
"""Characters of a text that is kept: of a reason, of a name that may be anybody's."""

_FIELDS: LiteralString = """
    tenant text, subject text, key_id text, door text, origin text, operation text, task_id uuid, target text,
    data jsonb, answer text
"""
_SAID: LiteralString = f"jsonb_to_record(%(audit)s::jsonb) AS said ({_FIELDS})"


def audited(
    rows: LiteralString,
    *,
    task_id: LiteralString,
    data: LiteralString = "said.data",
    tenant: LiteralString = "said.tenant",
    target: LiteralString = "said.target",
) -> LiteralString:
    """Return the part of a WITH that writes an `entry` for each of `rows`, in the statement that wrote these."""
    return _audited(f"{rows}, {_SAID}", tenant, task_id, target, data)


def each_audited(tasks: LiteralString, *, data: LiteralString) -> LiteralString:
    """Return the part of a WITH that writes each of `tasks` an entry of its own: of a JSON list, by `task_id`."""
    said: LiteralString = f"jsonb_to_recordset(%(audit)s::jsonb) AS said ({_FIELDS})"
    rows: LiteralString = f"{tasks} JOIN {said} ON said.task_id = {tasks}.id"
    return _audited(rows, "said.tenant", "said.task_id", "said.target", data)


def _audited(
    rows: LiteralString,
    tenant: LiteralString,
    task_id: LiteralString,
    target: LiteralString,
    data: LiteralString,
) -> LiteralString:
    return f"""
    audited AS (
        INSERT INTO agent_tasks.audit (
            tenant, subject, key_id, door, origin, operation, task_id, target, data, answer)
        SELECT {tenant}, said.subject, said.key_id, said.door, said.origin, said.operation, {task_id}, {target},
            {data}, said.answer
        FROM {rows}
    )
    """


_WRITE = f"""
    INSERT INTO agent_tasks.audit (tenant, subject, key_id, door, origin, operation, task_id, target, data, answer)
    SELECT tenant, subject, key_id, door, origin, operation, task_id, target, data, answer FROM {_SAID}
    RETURNING id
"""


_ADD = "UPDATE agent_tasks.audit SET data = data || %(data)s::jsonb WHERE id = %(id)s"


class _WrittenRow(TypedDict):
    id: int


def entry(
    operation: str,
    identity: Identity | None,
    *,
    task_id: UUID | None = None,
    target: str | None = None,
    data: dict[str, Any] | None = None,
    answer: str = ACCEPTED,
) -> dict[str, str]:
    """Return the parameter of `audited`, for a write that acts as `identity` and comes through this context's door.

    If the door knows who came, they are the writer. `data` is small and holds no payload: the audit outlives the task.
    """
    origin = current()
    who = origin.writer(identity)
    said = {
        "tenant": who.tenant if who else origin.tenant,
        "subject": who.subject if who else None,
        "key_id": origin.key_id,
        "door": origin.door,
        "origin": origin.place,
        "operation": operation,
        "task_id": str(task_id) if task_id else None,
        "target": target,
        "data": data,
        "answer": answer,
    }
    return {"audit": json.dumps({name: value for name, value in said.items() if value is not None})}


def write(connection: Connection, operation: str, identity: Identity | None, **fields: Any) -> int:
    """Write an `entry` in the transaction of the write; returns its id."""
    row: _WrittenRow | None = connection.execute(_WRITE, entry(operation, identity, **fields)).fetchone()
    assert row is not None
    return row["id"]


def add(connection: Connection, id: int, data: dict[str, Any]) -> None:
    """Add to the data of an entry what a write that takes several transactions has come to."""
    connection.execute(_ADD, {"id": id, "data": json.dumps(data)})


def refused(
    connection: Connection,
    operation: str,
    identity: Identity | None,
    answer: str,
    *,
    task_id: UUID | None = None,
    target: str | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Write an entry for a request that was refused, in a statement of its own; `answer` is the type of the error.

    For a door that strangers stand at: `target` may be whatever they sent.
    """
    shown = short(target) if target is not None else None
    write(connection, operation, identity, task_id=task_id, target=shown, data=data, answer=answer)


def short(text: str) -> str:
    """Return the beginning of a text, as Postgres can keep it."""
    return storable(text)[:_LONGEST]


def purge(connection: Connection, *, limit: int, seconds: float) -> int:
    """Delete rows older than `seconds`, the oldest first, at most `limit`."""
    return connection.execute(
        """
        DELETE FROM agent_tasks.audit WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM agent_tasks.audit WHERE at < statement_timestamp() - make_interval(secs => %s)
            ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED))
        """,
        [seconds, limit],
        prepare=False,
    ).rowcount

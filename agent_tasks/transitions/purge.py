"""terminal → nothing: finished tasks go after their retention, in trees."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS
from agent_tasks.transitions.threads import delete_threads

ACKNOWLEDGED_PART = 0.1
"""The part of its retention for which a tree is kept once its root is acknowledged."""

# Each retention that any root has: 0 stands for the deployment's. (From one to the next by the index.)
_RETENTIONS = """
    WITH RECURSIVE found AS (
        (SELECT retention_seconds AS seconds FROM agent_tasks.tasks WHERE parent_id IS NULL AND finished_at IS NOT NULL
            AND retention_seconds >= 0 ORDER BY retention_seconds LIMIT 1)
        UNION ALL
        SELECT next.seconds FROM found, LATERAL (
            SELECT retention_seconds AS seconds FROM agent_tasks.tasks
            WHERE parent_id IS NULL AND finished_at IS NOT NULL AND retention_seconds > found.seconds
            ORDER BY retention_seconds LIMIT 1) AS next
    )
    SELECT seconds FROM found
"""

_PAGE = """
    SELECT id, finished_at FROM agent_tasks.tasks
    WHERE parent_id IS NULL AND finished_at IS NOT NULL AND retention_seconds = %(retention)s
        AND (acknowledged_at IS NOT NULL) = %(acknowledged)s
        AND finished_at < statement_timestamp() - make_interval(secs => %(seconds)s)
        AND (%(after)s::timestamptz IS NULL OR (finished_at, id) > (%(after)s, %(after_id)s))
    ORDER BY finished_at, id LIMIT %(limit)s
"""


class _PageRow(TypedDict):
    id: UUID
    finished_at: datetime


# A tree goes as one, when all of it is old; not while a key stands for it, or a resumed task may read from it.
# OFFSET 0: each root's is looked up by itself, never all tasks beside all roots.
_FREE = f"""
    SELECT id, (SELECT count(*) FROM agent_tasks.tasks AS member WHERE member.root_id = tasks.id) AS members
    FROM agent_tasks.tasks WHERE {GIVEN_IDS}
        AND NOT EXISTS (
            SELECT FROM agent_tasks.tasks AS member WHERE member.root_id = tasks.id AND (member.finished_at IS NULL
                OR tasks.acknowledged_at IS NULL
                    AND member.finished_at >= statement_timestamp() - make_interval(secs => %(seconds)s))
            OFFSET 0)
        AND NOT EXISTS (
            SELECT FROM agent_tasks.idempotency_keys AS key
            WHERE key.task_id = tasks.id AND key.expires_at > statement_timestamp() OFFSET 0)
"""


class _FreeRow(TypedDict):
    id: UUID
    members: int


_OF_TREES: LiteralString = "root_id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))"

# Whoever resumes a task has locked it: its tree stays, and is looked at again.
_LOCK = f"SELECT id, root_id FROM agent_tasks.tasks WHERE {_OF_TREES} ORDER BY id FOR UPDATE SKIP LOCKED"


class _LockedRow(TypedDict):
    id: UUID
    root_id: UUID


_RESUMED = """
    SELECT id, resumed_from, finished_at IS NULL AS lives FROM agent_tasks.tasks
    WHERE resumed_from = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))
"""


class _ResumedRow(TypedDict):
    id: UUID
    resumed_from: UUID
    lives: bool


_DELETE = f"""
    WITH deleted AS (
        DELETE FROM agent_tasks.tasks WHERE {_OF_TREES} RETURNING agent, status
    )
    SELECT agent, status, count(*) AS tasks FROM deleted GROUP BY agent, status
"""


class _DeletedRow(TypedDict):
    agent: str
    status: str
    tasks: int


_MEMBERS = 2_000
"""How many tasks are deleted in one transaction, unless one tree has more."""

Purged = Counter[tuple[str, str]]
"""How many tasks went, by agent and status."""


@dataclass(frozen=True, slots=True)
class _Due:
    """Roots of one retention (0: the deployment's), acknowledged or not, that ended more than `seconds` ago."""

    retention: float
    acknowledged: bool
    seconds: float


def purge(connection: Connection, *, limit: int, seconds: float, keep_unacknowledged: bool = False) -> Purged:
    """Delete all trees that ended more than `seconds`, or their agents' own retention, ago.

    Those whose root was acknowledged go after a tenth of it; with `keep_unacknowledged` only they do. In small
    transactions; `limit` roots are looked at together.
    """
    purged: Purged = Counter()
    retentions: list[float] = [row["seconds"] for row in connection.execute(_RETENTIONS, prepare=False).fetchall()]
    for retention in retentions:
        kept = retention or seconds
        purged += _pages(connection, _Due(retention, True, kept * ACKNOWLEDGED_PART), limit)
        if not keep_unacknowledged:
            purged += _pages(connection, _Due(retention, False, kept), limit)
    return purged


def _pages(connection: Connection, due: _Due, limit: int) -> Purged:
    """Purge from the oldest root on: those that may not go yet are passed over, and do not keep the others."""
    purged: Purged = Counter()
    after: tuple[datetime | None, UUID | None] = (None, None)
    while True:
        page: list[_PageRow] = connection.execute(
            _PAGE,
            {
                "retention": due.retention,
                "acknowledged": due.acknowledged,
                "seconds": due.seconds,
                "limit": limit,
                "after": after[0],
                "after_id": after[1],
            },
            prepare=False,
        ).fetchall()
        for trees in _in_parts(_free(connection, [row["id"] for row in page], due)):
            with connection.transaction():
                purged += _delete(connection, trees, due)
        if len(page) < limit:
            return purged
        after = page[-1]["finished_at"], page[-1]["id"]


def _free(connection: Connection, roots: Sequence[UUID], due: _Due) -> dict[UUID, int]:
    """The trees among these that may go, and how many tasks each has."""
    rows: list[_FreeRow] = _run(connection, _FREE, roots, due)
    return {row["id"]: row["members"] for row in rows}


def _in_parts(members: dict[UUID, int]) -> Iterator[list[UUID]]:
    part: list[UUID] = []
    size = 0
    for root, number in members.items():
        if part and size + number > _MEMBERS:
            yield part
            part, size = [], 0
        part.append(root)
        size += number
    if part:
        yield part


def _delete(connection: Connection, trees: Sequence[UUID], due: _Due) -> Purged:
    """Delete the trees among these that are wholly locked now, and may still go."""
    rows: list[_LockedRow] = _run(connection, _LOCK, trees, due)
    tree_of = {row["id"]: row["root_id"] for row in rows}
    locked = Counter(tree_of.values())
    whole = {tree for tree, members in _free(connection, trees, due).items() if members == locked[tree]}
    tree_of = {task: tree for task, tree in tree_of.items() if tree in whole}
    free = whole - read_from(connection, tree_of)
    delete_threads(connection, [task for task, tree in tree_of.items() if tree in free])
    gone: list[_DeletedRow] = _run(connection, _DELETE, list(free), due)
    return Counter({(row["agent"], row["status"]): row["tasks"] for row in gone})


def read_from(connection: Connection, tree_of: dict[UUID, UUID]) -> set[UUID]:
    """Return the trees from which one that lives was resumed, or from what was resumed from them.

    `tree_of`: the roots of all their tasks.
    """
    found: set[UUID] = set()
    while tree_of:
        rows: list[_ResumedRow] = connection.execute(_RESUMED, {"ids": list(tree_of)}, prepare=False).fetchall()
        found |= {tree_of[row["resumed_from"]] for row in rows if row["lives"]}
        tree_of = {row["id"]: tree_of[row["resumed_from"]] for row in rows}
    return found


def _run(connection: Connection, statement: LiteralString, ids: Sequence[UUID], due: _Due) -> list[Any]:
    if not ids:
        return []
    return connection.execute(statement, {"ids": list(ids), "seconds": due.seconds}, prepare=False).fetchall()


def purge_keys(connection: Connection, *, limit: int) -> int:
    """Delete expired idempotency keys."""
    return connection.execute(
        """
        DELETE FROM agent_tasks.idempotency_keys WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM agent_tasks.idempotency_keys
            WHERE expires_at < statement_timestamp() ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED))
        """,
        [limit],
        prepare=False,
    ).rowcount

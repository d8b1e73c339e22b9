"""No arrow: reading tasks, their history and their workers."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS, LIVES, SNAPSHOT, SUSPECT, Row
from agent_tasks.task.identity import Identity
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.unserved import ServingRow


class LivingRow(Row):
    since: datetime


class EventRow(TypedDict):
    task_id: UUID
    seq: int
    type: str
    data: Any
    at: datetime


class WorkerRow(TypedDict):
    id: str
    hostname: str
    pid: int
    queues: list[str]
    steps: list[str]
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    keys: list[str] | None
    signatures: list[str] | None
    bells: str | None


class StepAheadRow(TypedDict):
    agent: str
    step: str
    queue: str
    pending: int
    waiting: int


class RepetitionRow(TypedDict):
    steps_kept: int
    calls_kept: int
    steps_repeated: int
    calls_of_repeated: int
    calls_replayed: int


class TreeRepetitionRow(TypedDict):
    steps: int
    steps_once: int
    calls: int
    calls_once: int


class PlaceRow(TypedDict):
    """The database that a connection reaches: no two have both in common."""

    database: str
    server: int
    """When the server was started, in microseconds."""


class TransactionRow(PlaceRow):
    id: str


class KeptRow(TypedDict):
    partial: Any
    remaining: list[Any] | None


class _HintRow(TypedDict):
    id: UUID
    hint: str


class _StatusRow(TypedDict):
    status: str
    number: int


class _SuspectRow(TypedDict):
    suspect: int
    number: int


_ASKED = f"""
    (%(agent)s::text IS NULL OR tasks.agent = %(agent)s)
        AND (%(tenant)s::text IS NULL OR tasks.tenant = %(tenant)s)
        AND (%(subject)s::text IS NULL OR tasks.identity ->> 'subject' = %(subject)s)
        AND (%(kind)s::text IS NULL OR tasks.waiting_for ->> 'kind' = %(kind)s)
        AND {MAY_SEE}
"""

_LIVING = f"""
    SELECT {SNAPSHOT}, living.since FROM agent_tasks.tasks, LATERAL (SELECT CASE tasks.status
            WHEN 'waiting' THEN (tasks.waiting_for ->> 'since')::timestamptz
            WHEN 'running' THEN tasks.claimed_at
            ELSE coalesce(tasks.pending_since, tasks.created_at) END AS since) AS living
    WHERE tasks.status = ANY (%(statuses)s) AND tasks.finished_at IS NULL AND {_ASKED}
    ORDER BY living.since, tasks.id LIMIT %(limit)s
"""

_ENDED = f"""
    SELECT {SNAPSHOT}, tasks.finished_at AS since FROM agent_tasks.tasks
    WHERE tasks.status = %(status)s AND tasks.finished_at IS NOT NULL AND {_ASKED}
    ORDER BY tasks.finished_at, tasks.id LIMIT %(limit)s
"""

_CHILDREN = "SELECT id FROM agent_tasks.tasks WHERE parent_id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))"

# OFFSET 0: the children are found by their parent, and never by walking along all ids until a page is full.
_PAGE_OF_CHILDREN = f"""
    SELECT {SNAPSHOT} FROM agent_tasks.tasks WHERE id = ANY (ARRAY(
        SELECT id FROM (SELECT id FROM agent_tasks.tasks WHERE parent_id = %(parent)s OFFSET 0) AS children
        WHERE %(after)s::uuid IS NULL OR id > %(after)s ORDER BY id LIMIT %(limit)s))
    ORDER BY id
"""

_PLACE = """
    current_database() AS database, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS server
"""
_TRANSACTION = f"""
    SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_xact_id()::text END AS id, {_PLACE}
"""
_PENDING_IN = "SELECT pg_xact_status(%s::text::xid8) AS status"


def find(connection: Connection, task_id: UUID) -> Row | None:
    return connection.execute(f"SELECT {SNAPSHOT} FROM agent_tasks.tasks WHERE id = %s", [task_id]).fetchone()


def find_many(connection: Connection, task_ids: list[UUID]) -> list[Row]:
    return connection.execute(
        f"SELECT {SNAPSHOT} FROM agent_tasks.tasks WHERE {GIVEN_IDS}", {"ids": task_ids}
    ).fetchall()


_WITH_PREFIX = f"""
    SELECT id FROM agent_tasks.tasks WHERE id BETWEEN %(low)s AND %(high)s AND {MAY_SEE}
    ORDER BY id LIMIT %(limit)s
"""


def with_prefix(connection: Connection, digits: str, identity: Identity | None, limit: int) -> list[UUID]:
    """The ids that begin with these hexadecimal digits, of tasks that `identity` may see."""
    values = {
        "low": UUID(digits.ljust(32, "0")),
        "high": UUID(digits.ljust(32, "f")),
        **viewer(identity),
        "limit": limit,
    }
    return [row["id"] for row in connection.execute(_WITH_PREFIX, values, prepare=False)]


def input_hints(connection: Connection, task_ids: list[UUID], characters: int) -> dict[UUID, str]:
    """How the inputs of these tasks begin, as JSON; without those of sensitive agents."""
    query = "SELECT id, left(input::text, %s) AS hint FROM agent_tasks.tasks WHERE id = ANY (%s) AND NOT sensitive"
    rows: list[_HintRow] = connection.execute(f"{query} AND input IS NOT NULL", [characters, task_ids]).fetchall()
    return {row["id"]: row["hint"] for row in rows}


def children(connection: Connection, task_id: UUID) -> list[Row]:
    return connection.execute(
        f"SELECT {SNAPSHOT} FROM agent_tasks.tasks WHERE parent_id = %s ORDER BY id", [task_id]
    ).fetchall()


def page_of_children(connection: Connection, task_id: UUID, after: UUID | None, limit: int) -> list[Row]:
    """The first children with an id after `after`."""
    values = {"parent": task_id, "after": after, "limit": limit}
    return connection.execute(_PAGE_OF_CHILDREN, values).fetchall()


def traceback(connection: Connection, task_id: UUID) -> str | None:
    row = connection.execute("SELECT traceback FROM agent_tasks.tasks WHERE id = %s", [task_id]).fetchone()
    return row["traceback"] if row else None


def children_by_status(connection: Connection, task_id: UUID) -> dict[str, int]:
    """How many of the task's children are in which state."""
    rows: list[_StatusRow] = connection.execute(
        "SELECT status, count(*) AS number FROM agent_tasks.tasks WHERE parent_id = %s GROUP BY status", [task_id]
    ).fetchall()
    return {row["status"]: row["number"] for row in rows}


def tree(connection: Connection, task_id: UUID, *, root: bool = False) -> list[Row]:
    """The task and all below it, or with `root` all of its tree; parents first, siblings in their FanOut's order."""
    if root:
        found = connection.execute("SELECT root_id FROM agent_tasks.tasks WHERE id = %s", [task_id]).fetchone()
        task_id = found["root_id"] if found else task_id
    sql = f"SELECT {SNAPSHOT} FROM agent_tasks.tasks WHERE {GIVEN_IDS} ORDER BY depth, parent_step, child_index, id"
    return connection.execute(sql, {"ids": tree_ids(connection, [task_id])}, prepare=False).fetchall()


def tree_ids(connection: Connection, task_ids: Sequence[UUID]) -> list[UUID]:
    """These tasks, in this order, and then all below them; one of these that is below another comes twice."""
    found = level = list(task_ids)
    while level:
        level = [row["id"] for row in connection.execute(_CHILDREN, {"ids": level}, prepare=False)]
        found = found + level
    return found


def events(connection: Connection, task_id: UUID, after: int, limit: int = 1000) -> list[EventRow]:
    """The events of a task with a `seq` greater than `after`, in order."""
    return connection.execute(
        "SELECT task_id, seq, type, data, at FROM agent_tasks.events WHERE task_id = %s AND seq > %s "
        "ORDER BY seq LIMIT %s",
        [task_id, after, limit],
    ).fetchall()


def last_event(connection: Connection, task_id: UUID) -> int:
    """The number of a task's last event; 0 where it has none."""
    row = connection.execute("SELECT max(seq) AS seq FROM agent_tasks.events WHERE task_id = %s", [task_id]).fetchone()
    return (row["seq"] if row else None) or 0


def transaction(connection: Connection) -> TransactionRow:
    """The id of the transaction that this connection is in, and where that is."""
    row = connection.execute(_TRANSACTION).fetchone()
    assert row is not None
    return row


def place(connection: Connection) -> PlaceRow:
    row = connection.execute(f"SELECT {_PLACE}").fetchone()
    assert row is not None
    return row


def transaction_status(connection: Connection, transaction: str) -> str | None:
    """The status of a transaction: committed, aborted, in progress, or None where it is too long ago to know."""
    row = connection.execute(_PENDING_IN, [transaction]).fetchone()
    return row["status"] if row else None


def workers(connection: Connection, *, seconds: float) -> list[WorkerRow]:
    """The worker processes seen within the last `seconds`."""
    return connection.execute(
        f"SELECT * FROM agent_tasks.workers WHERE {LIVES} ORDER BY id", {"lease_seconds": seconds}
    ).fetchall()


_SERVING = f"""
    SELECT wanted.agent, wanted.step, wanted.queue, count(workers.id) AS living,
        count(*) FILTER (WHERE served.agent) AS with_agent, count(*) FILTER (WHERE served.step) AS with_step,
        coalesce(bool_or(served.step AND served.queue), false) AS served
    FROM unnest(%(agents)s::text[], %(steps)s::text[], %(queues)s::text[]) AS wanted (agent, step, queue)
    LEFT JOIN agent_tasks.workers ON {LIVES}
    LEFT JOIN LATERAL (SELECT
        wanted.agent || '.' || wanted.step = ANY (workers.steps) AS step, wanted.queue = ANY (workers.queues) AS queue,
        EXISTS (SELECT FROM unnest(workers.steps) AS s WHERE starts_with(s, wanted.agent || '.')) AS agent
    ) AS served ON true
    GROUP BY wanted.agent, wanted.step, wanted.queue
"""


def serving(
    connection: Connection, wanted: Collection[tuple[str, str, str]], *, lease_seconds: float
) -> list[ServingRow]:
    """For each (agent, step, queue): how many workers live, have the agent, the step, and whether one takes it."""
    agents, steps, queues = zip(*wanted, strict=True) if wanted else ((), (), ())
    values = {"agents": list(agents), "steps": list(steps), "queues": list(queues), "lease_seconds": lease_seconds}
    return connection.execute(_SERVING, values).fetchall()


# Of pending tasks, those that were rung in vain most often are due last. Of waiting ones, those without a time-out come
# after all others: both ends are looked at.
_AHEAD: LiteralString = """
    (SELECT id, agent, step, queue, status, waiting_for ->> 'on_timeout' AS on_timeout FROM agent_tasks.tasks
        WHERE status = '{status}' AND finished_at IS NULL ORDER BY due_at {order} LIMIT %(limit)s)
"""

_STEPS_AHEAD = f"""
    WITH looked_at AS (
        {_AHEAD.format(status="pending", order="DESC")} UNION {_AHEAD.format(status="waiting", order="DESC")}
        UNION {_AHEAD.format(status="waiting", order="ASC")}
    )
    SELECT agent, ahead.step, queue, count(*) FILTER (WHERE status = 'pending') AS pending,
        count(*) FILTER (WHERE status = 'waiting') AS waiting
    FROM looked_at, LATERAL (SELECT looked_at.step UNION SELECT on_timeout WHERE on_timeout IS NOT NULL) AS ahead
    GROUP BY agent, ahead.step, queue
"""


def steps_ahead(connection: Connection, limit: int = 10_000) -> list[StepAheadRow]:
    """The steps that pending and waiting tasks go on with, also after a time-out, on which queues, and how many tasks
    of those looked at: `limit` pending ones, and at most twice as many that wait."""
    return connection.execute(_STEPS_AHEAD, {"limit": limit}).fetchall()


def living_tasks(
    connection: Connection,
    *,
    agent: str | None = None,
    status: str | None = None,
    tenant: str | None = None,
    subject: str | None = None,
    kind: str | None = None,
    identity: Identity | None = None,
    limit: int = 100,
) -> list[LivingRow]:
    """Tasks that have not ended (or those of `status`), each with `since` when it waits, runs, is pending or over.

    The one that is so the longest comes first. `identity`: only what `Identity.may_access` lets it see.
    """
    ended = status is not None and TaskStatus(status).is_terminal
    return connection.execute(
        _ENDED if ended else _LIVING,
        {
            "agent": agent,
            "status": status,
            "statuses": [status] if status else [str(each) for each in TaskStatus if not each.is_terminal],
            "tenant": tenant,
            "subject": subject,
            "kind": kind,
            **viewer(identity),
            "limit": limit,
        },
    ).fetchall()


def recorded_calls(connection: Connection, task_id: UUID, step_number: int) -> int:
    """How many calls of this step have a recorded outcome."""
    row = connection.execute(
        "SELECT count(*) AS calls FROM agent_tasks.calls WHERE task_id = %s AND step_number = %s "
        "AND status = 'completed'",
        [task_id, step_number],
    ).fetchone()
    return row["calls"] if row else 0


_REPETITION = """
    WITH claims AS (
        SELECT (data ->> 'step_number')::int AS step_number, count(*) AS claims
        FROM agent_tasks.events WHERE task_id = %(id)s AND type = 'claimed' GROUP BY 1
    ), steps AS (
        SELECT step_number, run, claims > 1 AS repeated, step_number < %(step_number)s AND claims = 1 AS kept
        FROM agent_tasks.checkpoints JOIN claims USING (step_number) WHERE task_id = %(id)s
    ), step_calls AS (
        SELECT kept AND attempts = 1 AS kept, repeated, repeated AND calls.run < steps.run AS replayed
        FROM agent_tasks.calls JOIN steps USING (step_number) WHERE task_id = %(id)s
    )
    SELECT
        (SELECT count(*) FROM steps WHERE kept) AS steps_kept,
        (SELECT count(*) FROM step_calls WHERE kept) AS calls_kept,
        (SELECT count(*) FROM steps WHERE repeated) AS steps_repeated,
        (SELECT count(*) FROM step_calls WHERE repeated) AS calls_of_repeated,
        (SELECT count(*) FROM step_calls WHERE replayed) AS calls_replayed
"""


def repetition(connection: Connection, task_id: UUID, step_number: int) -> RepetitionRow:
    """Count what was and what was not repeated of a task that lost its worker with `step_number` steps committed.

    `steps_kept` and `calls_kept` were done before and once; of the calls of the repeated steps, those replayed
    came from the ledger.
    """
    row = connection.execute(_REPETITION, {"id": task_id, "step_number": step_number}).fetchone()
    assert row is not None
    return row


_TREE_REPETITION = """
    WITH tree AS (
        SELECT id AS task_id FROM agent_tasks.tasks WHERE root_id = %s
    ), claims AS (
        SELECT task_id, (data ->> 'step_number')::int AS step_number, count(*) AS claims
        FROM agent_tasks.events WHERE task_id = ANY (ARRAY(SELECT task_id FROM tree)) AND type = 'claimed'
            GROUP BY 1, 2
    ), steps AS (
        SELECT claims FROM agent_tasks.checkpoints JOIN claims USING (task_id, step_number)
        WHERE task_id = ANY (ARRAY(SELECT task_id FROM tree))
    ), tree_calls AS (
        SELECT attempts FROM agent_tasks.calls WHERE task_id = ANY (ARRAY(SELECT task_id FROM tree))
            AND status = 'completed'
    )
    SELECT
        (SELECT count(*) FROM steps) AS steps,
        (SELECT count(*) FROM steps WHERE claims = 1) AS steps_once,
        (SELECT count(*) FROM tree_calls) AS calls,
        (SELECT count(*) FROM tree_calls WHERE attempts = 1) AS calls_once
"""


def tree_repetition(connection: Connection, root_id: UUID) -> TreeRepetitionRow:
    """How many steps the tasks of a tree have committed and calls they have recorded, and how many of each once."""
    row = connection.execute(_TREE_REPETITION, [root_id]).fetchone()
    assert row is not None
    return row


_SUSPECTS = f"""
    SELECT suspect, count(*) AS number FROM (
        SELECT suspect FROM agent_tasks.tasks WHERE {SUSPECT} AND suspect IN (1, 2) LIMIT 1000) AS waiting
    GROUP BY suspect
"""


def suspects(connection: Connection, *, queues: Collection[str], steps: Collection[str]) -> dict[int, int]:
    """How many suspect steps wait for a process that serves these, by `tasks.suspect`."""
    rows: list[_SuspectRow] = connection.execute(_SUSPECTS, {"queues": list(queues), "steps": list(steps)}).fetchall()
    return {row["suspect"]: row["number"] for row in rows}


# The first by the index. Whether there is any would be looked up in the whole table where the statistics are of a time
# when most were due.
_OVERDUE: LiteralString = """
    coalesce((SELECT due_at FROM agent_tasks.tasks WHERE status = '{status}' AND finished_at IS NULL
        ORDER BY due_at LIMIT 1) <= statement_timestamp(), false)
"""

_DUE = f"""
    WITH pauses AS MATERIALIZED (
        SELECT EXISTS (SELECT FROM agent_tasks.pauses WHERE released_at IS NULL) AS any,
            EXISTS (SELECT FROM agent_tasks.pauses WHERE released_at IS NULL AND ended_at IS NOT NULL) AS ended
    )
    SELECT {_OVERDUE.format(status="running")} AS leases, pauses.any AS pauses,
        pauses.ended OR {_OVERDUE.format(status="waiting")} AS timers,
        pauses.ended OR {_OVERDUE.format(status="pending")} AS bells,
        EXISTS (SELECT FROM agent_tasks.schedules
            WHERE next_at <= statement_timestamp() AND paused_at IS NULL) AS schedules
    FROM pauses
"""


def due(connection: Connection) -> set[str]:
    """The sweeps among leases, pauses, timers, bells and schedules that have anything due, in one look."""
    row = connection.execute(_DUE).fetchone()
    assert row is not None
    return {name for name, is_due in row.items() if is_due}


def seconds_since_sweep(connection: Connection, name: str) -> float | None:
    """How long ago the sweep of this name last ran; None if it never did."""
    row = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - last_at)::float8 AS seconds FROM agent_tasks.watches "
        "WHERE name = %s",
        [name],
    ).fetchone()
    return row["seconds"] if row else None


def kept(connection: Connection, task_id: UUID) -> KeptRow | None:
    """The value that a task has kept by `ctx.partial`, and what was left to do; None where there is nothing."""
    return connection.execute(
        """
        SELECT partial, CASE WHEN status <> 'completed' THEN remaining END AS remaining FROM agent_tasks.tasks
        WHERE id = %s AND partial IS NOT NULL
        """,
        [task_id],
    ).fetchone()

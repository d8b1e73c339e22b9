"""pending → delivered, failed or dropped: what webhooks are told is claimed, sent elsewhere, and its end written.

In order, where that is asked for: of one task, a lane is told of nothing before all that came earlier is over. What is
due too early is parked, without a time; what ends wakes the next. None stays parked: it is parked under the lock of an
earlier one that is pending, so that this one ends later, and looks for what is parked in a statement after that.
Claims wait for no lock, so that whoever waits for theirs gets it.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection

LEASE_TIMES = 4
"""How many times as long as its receiver may take to answer a delivery belongs to the process that claimed it."""
LOOKED_AT = 64
"""Due rows of one lane that one claim looks at, beside which others may be due too early."""

# From one lane to the next by the index, never over what is due in one; in no order, so that none is always the last.
_DUE = """
    WITH RECURSIVE found AS (
        SELECT '' AS lane, NULL::timestamptz AS due_at, NULL::uuid AS webhook_id, '' AS tenant
        UNION ALL
        SELECT next.lane, next.due_at, next.webhook_id, next.tenant FROM found, LATERAL (
            SELECT lane, due_at, webhook_id, tenant FROM agent_tasks.deliveries
            WHERE due_at IS NOT NULL AND lane > found.lane ORDER BY lane, due_at LIMIT 1) AS next
    ), open AS (
        SELECT found.lane, found.tenant, coalesce(lanes.failures, 0) AS failures,
            found.webhook_id IS NOT NULL AND (webhooks.id IS NULL OR webhooks.disabled_at IS NOT NULL) AS is_over,
            coalesce(busy.room, %(room)s) AS room
        FROM found LEFT JOIN agent_tasks.webhooks ON webhooks.id = found.webhook_id
            LEFT JOIN agent_tasks.lanes ON lanes.name = found.lane
            LEFT JOIN jsonb_to_recordset(%(busy)s::jsonb) AS busy (lane text, room int) ON busy.lane = found.lane
        WHERE found.due_at <= statement_timestamp()
            AND coalesce(greatest(lanes.retry_at, lanes.asked_until) <= statement_timestamp(), true)
            AND found.tenant <> ALL (%(full)s)
        ORDER BY random()
    )
    SELECT open.lane, open.tenant, open.failures, open.is_over, open.room, due.id, due.ordered
    FROM open LEFT JOIN LATERAL (
        SELECT id, ordered FROM agent_tasks.deliveries
        WHERE lane = open.lane AND due_at <= statement_timestamp() AND NOT open.is_over
        ORDER BY due_at LIMIT least(2 * open.room, %(looked_at)s)
        FOR UPDATE SKIP LOCKED) AS due ON true
    LIMIT %(limit)s
"""


class _DueRow(TypedDict):
    lane: str
    tenant: str
    failures: int
    is_over: bool
    room: int
    id: UUID | None
    ordered: bool | None


# Of a lane that fails one delivery is tried, by whichever process is the first.
_PROBE = """
    UPDATE agent_tasks.lanes SET retry_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
    WHERE name = ANY (ARRAY(
        SELECT name FROM agent_tasks.lanes WHERE name = ANY (%(lanes)s)
            AND coalesce(greatest(retry_at, asked_until) <= clock_timestamp(), true) FOR UPDATE SKIP LOCKED))
    RETURNING name
"""

# (What is offered to the planner is the one index that suits. The rows of a task are compared as such: by its id alone,
# all of its deliveries would be read. That one is pending is said by its `ended_at` where it is found by its id: by its
# status, the index of all that are pending would be offered.) A callback that has answered
# that it is gone is told nothing more of its task.
_JUDGE = """
    WITH judged AS (
        SELECT due.id, earlier.id AS earlier, due.webhook_id IS NULL AND EXISTS (
            SELECT FROM agent_tasks.deliveries AS told
            WHERE told.task_id = due.task_id AND told.url IS NOT NULL AND told.answer = 410
                AND told.push_id IS NOT DISTINCT FROM due.push_id
            OFFSET 0) OR due.push_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM agent_tasks.a2a_pushes AS pushes WHERE pushes.task_id = due.task_id AND pushes.id = due.push_id
            OFFSET 0) AS is_gone
        FROM agent_tasks.deliveries AS due LEFT JOIN LATERAL (
            SELECT id FROM agent_tasks.deliveries AS earlier
            WHERE (earlier.lane, earlier.task_id, earlier.seq) >= (due.lane, due.task_id, 0)
                AND (earlier.lane, earlier.task_id, earlier.seq) < (due.lane, due.task_id, due.seq)
                AND earlier.status = 'pending' AND earlier.ordered AND due.ordered
            ORDER BY earlier.lane, earlier.task_id, earlier.seq LIMIT 1) AS earlier ON true
        WHERE due.id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))
    ), held AS (
        SELECT id FROM agent_tasks.deliveries WHERE id = ANY (ARRAY(SELECT earlier FROM judged WHERE NOT is_gone))
            AND ended_at IS NULL FOR UPDATE SKIP LOCKED
    ), parked AS (
        UPDATE agent_tasks.deliveries SET due_at = NULL WHERE id = ANY (ARRAY(
            SELECT judged.id FROM judged JOIN held ON held.id = judged.earlier WHERE NOT is_gone))
        RETURNING id
    )
    SELECT id, CASE WHEN is_gone THEN 'gone' WHEN earlier IS NULL THEN 'free' ELSE 'early' END AS verdict FROM judged
    UNION ALL
    SELECT id, 'parked' FROM parked
"""


class _JudgedRow(TypedDict):
    id: UUID
    verdict: Literal["free", "gone", "early", "parked"]


_CLAIM = """
    WITH claimed AS (
        UPDATE agent_tasks.deliveries SET attempt = attempt + 1, last_at = clock_timestamp(),
            due_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
        WHERE id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))
        RETURNING *
    )
    SELECT claimed.id, claimed.attempt, claimed.given_back, claimed.lane, claimed.webhook_id, claimed.tenant,
        claimed.type, claimed.task_id, claimed.seq, claimed.ordered, claimed.outbox_id, claimed.created_at,
        coalesce(claimed.url, webhooks.url) AS url, coalesce(webhooks.payload, 'thin') AS payload, webhooks.secret,
        CASE WHEN webhooks.old_until > clock_timestamp() THEN webhooks.old_secret END AS old_secret,
        outbox.agent, outbox.status AS task_status, outbox.version, outbox.data, outbox.at, clock_timestamp() AS now,
        claimed.push_id, pushes.token, pushes.scheme, pushes.credentials
    FROM claimed JOIN agent_tasks.outbox ON outbox.id = claimed.outbox_id
        LEFT JOIN agent_tasks.webhooks ON webhooks.id = claimed.webhook_id
        LEFT JOIN agent_tasks.a2a_pushes AS pushes ON pushes.task_id = claimed.task_id AND pushes.id = claimed.push_id
"""


class Claimed(TypedDict):
    """A delivery to be made, by whoever has its `attempt`."""

    id: UUID
    attempt: int
    given_back: int
    """Attempts before this one that do not count."""
    lane: str
    webhook_id: UUID | None
    """None: of a callback."""
    tenant: str
    type: str
    task_id: UUID | None
    seq: int | None
    ordered: bool
    outbox_id: int
    created_at: datetime
    url: str
    payload: Literal["thin", "full"]
    secret: str | None
    """Of an endpoint."""
    old_secret: str | None
    """The one before, while it still signs."""
    agent: str | None
    task_status: str | None
    version: int | None
    data: Any
    at: datetime
    """The time of the event."""
    now: datetime
    push_id: str | None
    """Of the callback of an A2A client."""
    token: str | None
    scheme: str | None
    credentials: str | None
    """What its client knows us by."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a claim has found."""

    claimed: list[Claimed]
    over: list[str]
    """Lanes of endpoints that are disabled or gone, with something due: it is to be dropped."""
    moved: int
    """How many deliveries were parked or dropped on the way, behind which others may be due."""


def claim(
    connection: Connection,
    *,
    room: Mapping[str, int],
    usual_room: int,
    tenant_room: Mapping[str, int],
    usual_tenant_room: int,
    limit: int,
    failing: int,
    lease_seconds: float,
) -> Found:
    """Claim what is due, for `lease_seconds`, after which it is due again. Within a transaction.

    `room`: for how many more a lane has room here; `usual_room`: where it is not named. `tenant_room`: the same of all
    lanes of a tenant together. `failing`: so many failures in a row leave room for one. `limit`: due rows that are
    looked at, of all lanes together.
    """
    busy = json.dumps([{"lane": lane, "room": left} for lane, left in room.items()])
    full = [tenant for tenant, left in tenant_room.items() if left <= 0]
    values = {"room": usual_room, "busy": busy, "full": full, "looked_at": LOOKED_AT, "limit": limit}
    due: list[_DueRow] = connection.execute(_DUE, values).fetchall()
    judged = _judged(connection, [row["id"] for row in due if row["id"] is not None])
    if judged["gone"]:
        _end(connection, judged["gone"])
    free = [row for row in due if row["id"] in judged["free"]]
    probed = _probed(connection, {row["lane"] for row in free if row["failures"] >= failing}, lease_seconds)
    left = {row["lane"]: int(row["lane"] in probed) if row["failures"] >= failing else row["room"] for row in free}
    tenants = {row["tenant"]: tenant_room.get(row["tenant"], usual_tenant_room) for row in free}
    chosen: list[UUID] = []
    for row in free:
        if row["id"] is not None and left[row["lane"]] > 0 and tenants[row["tenant"]] > 0:
            left[row["lane"]] -= 1
            tenants[row["tenant"]] -= 1
            chosen.append(row["id"])
    claimed: list[Claimed] = []
    if chosen:
        claimed = connection.execute(_CLAIM, {"ids": chosen, "lease_seconds": lease_seconds}).fetchall()
    return Found(
        claimed, sorted({row["lane"] for row in due if row["is_over"]}), len(judged["gone"]) + len(judged["parked"])
    )


def _probed(connection: Connection, lanes: set[str], lease_seconds: float) -> set[str]:
    """Of lanes that fail, those of which this process may try one now."""
    if not lanes:
        return set()
    rows = connection.execute(_PROBE, {"lanes": sorted(lanes), "lease_seconds": lease_seconds})
    return {row["name"] for row in rows}


def _judged(connection: Connection, ids: Sequence[UUID]) -> defaultdict[str, set[UUID]]:
    """Park those that are due too early, where the earlier one is not about to end; all by verdict. They are locked."""
    verdicts: defaultdict[str, set[UUID]] = defaultdict(set)
    rows: list[_JudgedRow] = connection.execute(_JUDGE, {"ids": list(ids)}).fetchall() if ids else []
    for row in rows:
        verdicts[row["verdict"]].add(row["id"])
    return verdicts


Ending = Literal["delivered", "failed", "dropped", "pending"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    id: UUID
    attempt: int
    status: Ending
    """`pending`: it is tried again after `delay` seconds."""
    answer: int | None = None
    error: str | None = None
    delay: float | None = None
    is_counted: bool = True
    """False: it was not made, or broken off, for reasons of the deployment, and is none of the ten."""


# The fence: an attempt that another one has followed, or that was dropped meanwhile, changes nothing.
_FINISH = """
    UPDATE agent_tasks.deliveries SET status = ended.status, answer = ended.answer, error = ended.error,
        given_back = given_back + CASE WHEN ended.is_counted THEN 0 ELSE 1 END,
        due_at = CASE WHEN ended.status = 'pending' THEN clock_timestamp() + make_interval(secs => ended.delay) END,
        ended_at = CASE WHEN ended.status <> 'pending' THEN clock_timestamp() END
    FROM jsonb_to_recordset(%(outcomes)s::jsonb)
        AS ended (id uuid, attempt int, status text, answer int, error text, delay float8, is_counted bool)
    WHERE deliveries.id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[]))) AND deliveries.id = ended.id
        AND deliveries.attempt = ended.attempt AND deliveries.ended_at IS NULL
    RETURNING deliveries.id, deliveries.lane, deliveries.task_id, deliveries.status
"""

_END = """
    UPDATE agent_tasks.deliveries SET status = %(status)s, error = coalesce(error, %(error)s::text), due_at = NULL,
        ended_at = clock_timestamp()
    WHERE id = ANY (ARRAY(SELECT unnest(%(ids)b::uuid[]))) RETURNING id, lane, task_id, status
"""

_LANE = """
    SELECT id FROM agent_tasks.deliveries
    WHERE lane = %(lane)s AND status = 'pending' AND NOT EXISTS (
        SELECT FROM agent_tasks.webhooks WHERE webhooks.id = deliveries.webhook_id AND webhooks.disabled_at IS NULL)
    ORDER BY lane, task_id, seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

# Of what is old, for as long as nothing but failures comes of the lane; what is being sent just now is left to its end.
_OLD = """
    SELECT id FROM agent_tasks.deliveries
    WHERE lane = %(lane)s AND status = 'pending'
        AND created_at <= clock_timestamp() - make_interval(secs => %(seconds)s)
        AND (last_at IS NULL OR last_at < clock_timestamp() - make_interval(secs => %(lease_seconds)s))
        AND EXISTS (SELECT FROM agent_tasks.lanes
            WHERE name = %(lane)s AND failing_since <= clock_timestamp() - make_interval(secs => %(seconds)s))
    ORDER BY lane, task_id, seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

# Whether it is as it was when it was claimed.
_IS_WANTED = """
    SELECT FROM agent_tasks.deliveries WHERE id = %(id)s AND attempt = %(attempt)s AND ended_at IS NULL
        AND CASE WHEN webhook_id IS NULL THEN NOT EXISTS (
            SELECT FROM agent_tasks.deliveries AS told
            WHERE told.task_id = deliveries.task_id AND told.url IS NOT NULL AND told.answer = 410
                AND told.push_id IS NOT DISTINCT FROM deliveries.push_id)
            AND (push_id IS NULL OR EXISTS (
                SELECT FROM agent_tasks.a2a_pushes AS pushes
                WHERE pushes.task_id = deliveries.task_id AND pushes.id = deliveries.push_id))
        ELSE EXISTS (
            SELECT FROM agent_tasks.webhooks
            WHERE webhooks.id = deliveries.webhook_id AND disabled_at IS NULL AND webhooks.url = %(url)s) END
"""

# The first that is parked of each: whatever else is pending before it, it is parked again where it comes too early.
_WAKE = """
    UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE due_at IS NULL AND ended_at IS NULL
        AND id = ANY (ARRAY(
            SELECT parked.id FROM (
                SELECT DISTINCT lane, task_id
                FROM jsonb_to_recordset(%(ended)s::jsonb) AS given (lane text, task_id uuid)
            ) AS ended, LATERAL (
                SELECT id FROM agent_tasks.deliveries
                WHERE (deliveries.lane, deliveries.task_id, seq) >= (ended.lane, ended.task_id, 0)
                    AND (deliveries.lane, deliveries.task_id, seq) <= (ended.lane, ended.task_id, 9223372036854775807)
                    AND status = 'pending' AND due_at IS NULL
                ORDER BY deliveries.lane, deliveries.task_id, seq LIMIT 1) AS parked))
"""


class EndedRow(TypedDict):
    """A delivery whose attempt has ended."""

    id: UUID
    lane: str
    task_id: UUID | None
    status: str


def finish(connection: Connection, outcomes: Sequence[Outcome]) -> tuple[list[EndedRow], int]:
    """Write what came of attempts; returns those that were still theirs, and how many others are due by it.

    Within a transaction.
    """
    given = [
        {"id": str(o.id), "attempt": o.attempt, "status": o.status, "answer": o.answer, "error": o.error,
         "delay": o.delay, "is_counted": o.is_counted}
        for o in outcomes
    ]  # fmt: skip
    values = {"ids": [o.id for o in outcomes], "outcomes": json.dumps(given)}
    rows: list[EndedRow] = connection.execute(_FINISH, values).fetchall()
    return rows, _woken(connection, rows)


def drop(connection: Connection, lane: str, *, limit: int) -> int:
    """Drop what is pending for an endpoint that is disabled or gone; returns how many. Within a transaction."""
    ids = [row["id"] for row in connection.execute(_LANE, {"lane": lane, "limit": limit})]
    if ids:
        _end(connection, ids)
    return len(ids)


def give_up(connection: Connection, lane: str, *, seconds: float, lease_seconds: float, limit: int) -> int:
    """End as failed what is pending for `seconds` in a lane that has only failed for as long; returns how many.

    Within a transaction.
    """
    values = {"lane": lane, "seconds": seconds, "lease_seconds": lease_seconds, "limit": limit}
    ids = [row["id"] for row in connection.execute(_OLD, values)]
    if ids:
        _end(connection, ids, "failed", "its receiver has failed for too long")
    return len(ids)


def is_wanted(connection: Connection, claimed: Claimed) -> bool:
    """Whether a delivery is still to be made by its attempt, and there."""
    values = {"id": claimed["id"], "attempt": claimed["attempt"], "url": claimed["url"]}
    return connection.execute(_IS_WANTED, values).fetchone() is not None


def _end(connection: Connection, ids: Collection[UUID], status: Ending = "dropped", error: str | None = None) -> None:
    """End deliveries that are locked."""
    values = {"ids": list(ids), "status": status, "error": error}
    _woken(connection, connection.execute(_END, values).fetchall())


def _woken(connection: Connection, rows: Iterable[EndedRow]) -> int:
    """Wake what waited for these; in a statement that sees all that was parked under their locks."""
    ended = [
        {"lane": row["lane"], "task_id": str(row["task_id"])}
        for row in rows
        if row["task_id"] is not None and row["status"] != "pending"
    ]
    return connection.execute(_WAKE, {"ended": json.dumps(ended)}).rowcount if ended else 0

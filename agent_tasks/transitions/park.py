"""running → waiting, and the same step again: a step is parked by its own waits, which the ledger keeps."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, TypedDict

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.pausing import CALL_MOVES, OPEN_CALLS, moved
from agent_tasks.store.rows import OWNED, RUNNING_SECONDS, SNAPSHOT, UNCOUNTED, Row, few
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import IN_TIME, lost, refusal
from agent_tasks.transitions.open_wait import SHOWN, OpenWait, Over, WaitingSignal, WaitRecord, head_of, over

# The waits that are asked for: those that the ledger does not have yet, and, by their ordinals, those that it has.
_ASKED: LiteralString = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(waits)s::jsonb) AS given (
            ordinal integer, name text, branch text, digest text, place integer, key text, begun integer,
            births integer[], shown jsonb, age float8, seconds float8, until timestamptz, since timestamptz)
        WHERE {few("ordinal")}
    ), begun AS (
        SELECT ordinal, name, branch, digest, place, key, begun, births, shown || jsonb_build_object(
            'since', began_at, 'until', coalesce(until, began_at + make_interval(secs => seconds))) AS wait
        FROM given, LATERAL (
            SELECT coalesce(since, clock_timestamp() - make_interval(secs => age)) AS began_at
        ) AS begun_then
    ), asked AS (
        SELECT * FROM begun UNION ALL
        SELECT ordinal, name, branch, digest, place, idempotency_key, begun, births, wait FROM agent_tasks.calls
        WHERE task_id = %(id)s AND step_number = %(ledger_step)s AND ordinal = ANY (%(known)s::int[])
    )
"""
_COLUMNS: LiteralString = """
    INSERT INTO agent_tasks.calls AS old (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key,
        run, branch, digest, place, begun, births, wait, outcome, ended, finished_at)
"""
_VALUES: LiteralString = """
    asked.ordinal, asked.name, {status}, false, asked.key, %(run)s, asked.branch, asked.digest, asked.place,
        asked.begun, asked.births, asked.wait, {outcome}, {ended}, {finished}
"""
_AGAIN: LiteralString = """
    ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
        status = excluded.status, run = excluded.run, begun = excluded.begun, births = excluded.births,
        wait = excluded.wait, outcome = excluded.outcome, ended = excluded.ended, replay = NULL,
        finished_at = excluded.finished_at
"""
_BEGUN: LiteralString = _VALUES.format(status="'started'", outcome="NULL", ended="NULL::int", finished="NULL")
_TAKEN: LiteralString = _VALUES.format(
    status="'completed'",
    outcome="coalesce(outcomes.outcome, 'null'::jsonb)",
    ended="taken.ended",
    finished="clock_timestamp()",
)
_CANCELLED: LiteralString = _VALUES.format(
    status="'cancelled'", outcome="NULL", ended="%(ended)s", finished="clock_timestamp()"
)
_LOCKED: LiteralString = f"owned AS (SELECT tasks.id FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE)"

_LOOK = f"""
    SELECT here.now, here.is_owned, signals.seq, signals.name, signals.wait_id
    FROM (
        SELECT clock_timestamp() AS now, EXISTS (SELECT FROM agent_tasks.tasks WHERE {OWNED}) AS is_owned
    ) AS here LEFT JOIN agent_tasks.signals ON signals.task_id = %(id)s AND signals.consumed_step IS NULL
        AND signals.name = ANY (%(names)s::text[])
    ORDER BY signals.seq
"""

# A wait whose time is over by what the ledger has of it, and whose task was paused meanwhile.
_MOVED = f"""
    SELECT ordinal FROM (
        SELECT tasks.* FROM agent_tasks.tasks WHERE {OWNED}
    ) AS tasks, LATERAL (
        SELECT calls.ordinal FROM agent_tasks.calls
        WHERE {OPEN_CALLS} AND calls.ordinal = ANY (%(ordinals)s::int[]) AND {CALL_MOVES}
            AND ({moved("calls.wait")} ->> 'until')::timestamptz > clock_timestamp() OFFSET 0
    ) AS calls
"""

_TAKE = f"""
    {_ASKED}, taken AS (
        SELECT * FROM jsonb_to_recordset(%(taken)s::jsonb) AS taken (ordinal integer, seqs bigint[], ended integer)
        WHERE {few("ordinal")}
    ), {_LOCKED}, consumed AS (
        UPDATE agent_tasks.signals SET consumed_step = %(step_number)s, consumed_call = taken.ordinal
        FROM taken, owned WHERE signals.task_id = owned.id AND signals.seq = ANY (taken.seqs)
        RETURNING consumed_call, name, jsonb_build_object('name', name, 'payload', payload, 'signal_id', signal_id,
            'sender', sender, 'sent_at', sent_at) AS signal
    ), outcomes AS (
        SELECT ordinal, CASE WHEN wait ->> 'mode' = 'all' THEN jsonb_object_agg(consumed.name, signal)
            ELSE jsonb_agg(signal) -> 0 END AS outcome
        FROM consumed JOIN asked ON ordinal = consumed_call GROUP BY ordinal, wait
    )
    {_COLUMNS}
    SELECT owned.id, %(ledger_step)s, {_TAKEN}
    FROM taken JOIN asked USING (ordinal) LEFT JOIN outcomes USING (ordinal), owned
    {_AGAIN}
    RETURNING ordinal, outcome
"""

_KEEP = f"""
    {_ASKED}, {_LOCKED}
    {_COLUMNS}
    SELECT owned.id, %(ledger_step)s, {_BEGUN} FROM asked, owned
    {_AGAIN}
    RETURNING ordinal, wait
"""

_CANCEL = f"""
    {_ASKED}, {_LOCKED}, given_back AS (
        UPDATE agent_tasks.signals SET consumed_step = NULL, consumed_call = NULL
        FROM owned, asked WHERE signals.task_id = owned.id AND consumed_step = %(step_number)s
            AND consumed_call = asked.ordinal
    )
    {_COLUMNS}
    SELECT owned.id, %(ledger_step)s, {_CANCELLED} FROM asked, owned
    {_AGAIN}
    RETURNING ordinal
"""

# Neither a try nor a crash, and no commit: what failed before still counts. A step that has come to wait has not
# killed its process. A wait that it was in before, and is not in now, wakes it no more.
_PARK = f"""
    {_ASKED}, changed AS (
        UPDATE agent_tasks.tasks SET
            status = 'waiting', worker = NULL, rings = 0, crashes = 0, suspect = 0, refused = NULL, {UNCOUNTED},
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, progress = coalesce(%(progress)s::jsonb, progress),
            due_at = due, waiting_for = head || jsonb_build_object('since', since, 'until', due, 'waits', waits,
                'parked_at', clock_timestamp()),
            {COUNTED}
        FROM (
            SELECT min((wait ->> 'until')::timestamptz) AS due, min((wait ->> 'since')::timestamptz) AS since,
                (jsonb_agg(wait ORDER BY ordinal) FILTER (WHERE ordinal <= %(last_shown)s)) AS waits,
                %(head)s::jsonb AS head
            FROM asked
        ) AS awaited
        WHERE {OWNED} AND {IN_TIME}
        RETURNING tasks.*
    ), kept AS (
        {_COLUMNS}
        SELECT changed.id, %(ledger_step)s, {_BEGUN} FROM begun AS asked, changed
        {_AGAIN}
    ), left_behind AS (
        UPDATE agent_tasks.calls SET wait = NULL FROM changed
        WHERE calls.task_id = changed.id AND calls.step_number = %(ledger_step)s AND calls.status = 'started'
            AND calls.wait IS NOT NULL AND calls.children_left IS NULL AND calls.ordinal <> ALL (%(open)s::int[])
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


class _LookRow(TypedDict):
    now: datetime
    is_owned: bool
    seq: int | None
    name: str
    wait_id: str | None


class _TakenRow(TypedDict):
    ordinal: int
    outcome: Any


def take(
    connection: Connection, claim: Claim, waits: Sequence[OpenWait], orders: Sequence[int]
) -> list[tuple[int, Any, int]]:
    """Record those of these waits that are over; returns the ordinal of each, what came of it, and its order.

    A wait is over when its signals are there, which it consumes, or when its time is. `orders`: as many times at which
    the step may be answered, by its clock. Raises LeaseLost.
    """
    names = list({name for wait in waits for name in wait.shown.get("names", ())})
    rows: list[_LookRow] = connection.execute(_LOOK, {**claim.fence, "names": names}).fetchall()
    if not rows[0]["is_owned"]:
        raise lost(claim)
    found = over(waits, [_waiting(row) for row in rows if row["seq"] is not None], rows[0]["now"])
    found = _without_moved(connection, claim, found)
    if not found:
        return []
    taken = {each.wait.record.ordinal: (list(each.seqs), order) for each, order in zip(found, orders, strict=False)}
    told = [{"ordinal": ordinal, "seqs": seqs, "ended": order} for ordinal, (seqs, order) in taken.items()]
    values = {**_values(claim, [each.wait for each in found]), "taken": json.dumps(told)}
    outcomes: list[_TakenRow] = connection.execute(_TAKE, values).fetchall()
    if not outcomes:
        raise lost(claim)
    by_ordinal = {row["ordinal"]: row["outcome"] for row in outcomes}
    return [(ordinal, by_ordinal[ordinal], order) for ordinal, (_, order) in taken.items()]


def _without_moved(connection: Connection, claim: Claim, found: Sequence[Over]) -> Sequence[Over]:
    """Leave out the waits that are not over, since a pause has moved their time-outs."""
    timed_out = [each.wait.record.ordinal for each in found if not each.seqs and each.wait.is_kept]
    if not timed_out:
        return found
    rows = connection.execute(_MOVED, {**claim.fence, "ordinals": timed_out}).fetchall()
    later = {row["ordinal"] for row in rows}
    return [each for each in found if each.wait.record.ordinal not in later]


def keep(connection: Connection, claim: Claim, waits: Sequence[OpenWait]) -> dict[int, WaitRecord]:
    """Record that these waits have begun, and when; returns those that were new, by ordinal. Raises LeaseLost."""
    new = [wait for wait in waits if not wait.is_kept]
    if not new:
        return {}
    rows = connection.execute(_KEEP, _values(claim, new)).fetchall()
    if not rows:
        raise lost(claim)
    return {row["ordinal"]: row["wait"] for row in rows}


def cancel(connection: Connection, claim: Claim, wait: OpenWait, ended: int) -> None:
    """Record that the step's own code cancelled a wait; a signal that it had taken is in the inbox again.

    Raises LeaseLost.
    """
    if connection.execute(_CANCEL, {**_values(claim, [wait]), "ended": ended}).fetchone() is None:
        raise lost(claim)


def park(connection: Connection, claim: Claim, waits: Sequence[OpenWait], *, progress: str | None) -> Row:
    """Let go of a step that only waits, until one of `waits`, in the order of their ordinals, may be over.

    Within a transaction in which `signal.deliver` follows, for what has come meanwhile. Raises LeaseLost,
    BudgetExhausted.
    """
    head = head_of(waits)
    seconds = min((wait.seconds for wait in waits if wait.seconds is not None), default=None)
    data = {"kind": "timer", "seconds": seconds, "until": next((wait.until for wait in waits if wait.until), None)}
    if head["kind"] == "children":
        data = {"kind": "children"}
    elif head["kind"] == "signal":
        data = {"kind": "signal", "names": head["names"], "mode": head["mode"], "timeout": seconds}
    ordinals = [wait.record.ordinal for wait in waits]
    values: dict[str, Any] = {
        "head": json.dumps(head),
        "last_shown": ordinals[:SHOWN][-1],
        "open": ordinals,
        "progress": progress,
        **event_list([("waiting", json.dumps(data))]),
    }
    row: Row | None = connection.execute(_PARK, {**_values(claim, waits), **values}).fetchone()
    if row is None:
        raise refusal(connection, claim)
    return row


def _waiting(row: _LookRow) -> WaitingSignal:
    assert row["seq"] is not None
    return {"seq": row["seq"], "name": row["name"], "wait_id": row["wait_id"]}


def _values(claim: Claim, waits: Sequence[OpenWait]) -> dict[str, Any]:
    return {
        **claim.fence,
        "ledger_step": claim.ledger_step,
        "waits": json.dumps([_given(wait) for wait in waits if not wait.is_kept]),
        "known": [wait.record.ordinal for wait in waits if wait.is_kept],
    }


def _given(wait: OpenWait) -> dict[str, Any]:
    record, known = wait.record, wait.known
    return {
        "ordinal": record.ordinal,
        "name": record.name,
        "branch": record.branch,
        "digest": record.digest,
        "place": record.place,
        "key": record.idempotency_key,
        "begun": record.begun,
        "births": list(record.births),
        "shown": wait.shown,
        "age": wait.age,
        "seconds": None if known else wait.seconds,
        "until": known.get("until", wait.until),
        "since": known.get("since"),
    }

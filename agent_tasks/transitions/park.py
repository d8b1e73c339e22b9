"""running → waiting, and the same step again: a step is parked by its own waits, which the ledger keeps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NotRequired, TypedDict

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import OWNED, RUNNING_SECONDS, SNAPSHOT, UNCOUNTED, Row, few
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import IN_TIME, lost, refusal
from agent_tasks.transitions.ledger import RecordedCall


class WaitRecord(TypedDict):
    """A wait as the ledger keeps it, and as `waiting_for` shows it."""

    kind: str
    since: str
    until: str | None
    name: NotRequired[str]
    names: NotRequired[list[str]]
    mode: NotRequired[str]
    wait_id: NotRequired[str]
    wait_ids: NotRequired[list[str]]


@dataclass(frozen=True, slots=True)
class OpenWait:
    """A wait that a step is in."""

    record: RecordedCall
    shown: dict[str, Any]
    """What is kept of it beside its times, as a `WaitRecord`."""
    age: float
    """How many seconds ago it began, in this run."""
    seconds: float | None
    """How many seconds it lasts from then on, at most; None: to `until`, or without end."""
    until: str | None = None


_GIVEN: LiteralString = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(waits)s::jsonb) AS given (
            ordinal integer, name text, branch text, digest text, place integer, key text, begun integer,
            births integer[], shown jsonb, age float8, seconds float8, until timestamptz, since timestamptz)
        WHERE {few("ordinal")}
    ), timed AS (
        SELECT given.*, shown || jsonb_build_object(
            'since', began_at, 'until', coalesce(until, began_at + make_interval(secs => seconds))) AS wait
        FROM given, LATERAL (
            SELECT coalesce(since, clock_timestamp() - make_interval(secs => age)) AS began_at
        ) AS begun_then
    )
"""
_COLUMNS: LiteralString = """
    INSERT INTO agent_tasks.calls AS old (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key,
        run, branch, digest, place, begun, births, wait, outcome, ended, finished_at)
"""
_VALUES: LiteralString = """
    timed.ordinal, timed.name, {status}, false, timed.key, %(run)s, timed.branch, timed.digest, timed.place,
        timed.begun, timed.births, timed.wait, {outcome}, {ended}, {finished}
"""
_AGAIN: LiteralString = """
    ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
        status = excluded.status, run = excluded.run, begun = excluded.begun, births = excluded.births,
        wait = excluded.wait, outcome = excluded.outcome, ended = excluded.ended, replay = NULL,
        finished_at = excluded.finished_at
"""
_BEGUN: LiteralString = _VALUES.format(status="'started'", outcome="NULL", ended="NULL::int", finished="NULL")
_TAKEN: LiteralString = _VALUES.format(
    status="'completed'", outcome="ready.outcome", ended="%(ended)s", finished="clock_timestamp()"
)
_CANCELLED: LiteralString = _VALUES.format(
    status="'cancelled'", outcome="NULL", ended="%(ended)s", finished="clock_timestamp()"
)

# Any of several: the one that came first. All of several: the first of each, when none is missing. A signal that came
# in time goes before the time-out. Of several waits the one that was begun first: the next look finds the others.
_TAKE = f"""
    {_GIVEN}, firsts AS (
        SELECT DISTINCT ON (timed.ordinal, signals.name) timed.ordinal, signals.seq, signals.name,
            jsonb_build_object('name', signals.name, 'payload', signals.payload, 'signal_id', signals.signal_id,
                'sender', signals.sender, 'sent_at', signals.sent_at) AS signal
        FROM timed JOIN agent_tasks.signals ON signals.task_id = %(id)s
            AND signals.name IN (SELECT jsonb_array_elements_text(timed.shown -> 'names'))
        WHERE signals.consumed_step IS NULL
            AND (signals.wait_id IS NULL OR timed.shown -> 'wait_ids' ? signals.wait_id)
        ORDER BY timed.ordinal, signals.name, signals.seq
    ), ready AS (
        SELECT timed.ordinal, found.seqs, coalesce(found.outcome, 'null'::jsonb) AS outcome
        FROM timed LEFT JOIN (
            SELECT ordinal, count(*) AS names, min(seq) AS seq, array_agg(seq) AS seqs,
                jsonb_object_agg(name, signal) AS outcome, (array_agg(signal ORDER BY seq))[1] AS signal
            FROM firsts GROUP BY ordinal
        ) AS each USING (ordinal), LATERAL (
            SELECT CASE WHEN shown ->> 'mode' = 'all' THEN each.seqs ELSE ARRAY[each.seq] END AS seqs,
                CASE WHEN shown ->> 'mode' = 'all' THEN each.outcome ELSE each.signal END AS outcome
            WHERE each.names >= CASE WHEN shown ->> 'mode' = 'all' THEN jsonb_array_length(shown -> 'names') ELSE 1 END
            UNION ALL SELECT NULL, NULL WHERE (wait ->> 'until')::timestamptz <= clock_timestamp()
        ) AS found
        ORDER BY timed.ordinal, found.seqs IS NULL LIMIT 1
    ), owned AS (
        SELECT tasks.id FROM agent_tasks.tasks WHERE {OWNED} AND EXISTS (SELECT FROM ready) FOR NO KEY UPDATE
    ), consumed AS (
        UPDATE agent_tasks.signals SET consumed_step = %(step_number)s, consumed_call = ready.ordinal
        FROM ready, owned WHERE signals.task_id = owned.id AND signals.seq = ANY (ready.seqs)
    ), taken AS (
        {_COLUMNS}
        SELECT owned.id, %(ledger_step)s, {_TAKEN} FROM ready JOIN timed USING (ordinal), owned
        {_AGAIN}
        RETURNING ordinal, outcome
    )
    SELECT taken.ordinal, taken.outcome, EXISTS (SELECT FROM agent_tasks.tasks WHERE {OWNED}) AS is_owned
    FROM (SELECT) AS one LEFT JOIN taken ON true
"""

_KEEP = f"""
    {_GIVEN}, owned AS (
        SELECT tasks.id FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE
    )
    {_COLUMNS}
    SELECT owned.id, %(ledger_step)s, {_BEGUN} FROM timed, owned
    {_AGAIN}
    RETURNING ordinal, wait
"""

_CANCEL = f"""
    {_GIVEN}, owned AS (
        SELECT tasks.id FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE
    ), given_back AS (
        UPDATE agent_tasks.signals SET consumed_step = NULL, consumed_call = NULL
        FROM owned, given WHERE signals.task_id = owned.id AND consumed_step = %(step_number)s
            AND consumed_call = given.ordinal
    )
    {_COLUMNS}
    SELECT owned.id, %(ledger_step)s, {_CANCELLED} FROM timed, owned
    {_AGAIN}
    RETURNING ordinal
"""

# Neither a try nor a crash, and no commit: what failed before still counts. A step that has come to wait has not
# killed its process.
_PARK = f"""
    {_GIVEN}, changed AS (
        UPDATE agent_tasks.tasks SET
            status = 'waiting', worker = NULL, rings = 0, crashes = 0, suspect = 0, refused = NULL, {UNCOUNTED},
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, progress = coalesce(%(progress)s::jsonb, progress),
            due_at = due, waiting_for = head || jsonb_build_object('since', since, 'until', due, 'waits', waits),
            {COUNTED}
        FROM (
            SELECT min((wait ->> 'until')::timestamptz) AS due, min((wait ->> 'since')::timestamptz) AS since,
                jsonb_agg(wait ORDER BY ordinal) AS waits, %(head)s::jsonb AS head
            FROM timed
        ) AS awaited
        WHERE {OWNED} AND {IN_TIME}
        RETURNING tasks.*
    ), kept AS (
        {_COLUMNS}
        SELECT changed.id, %(ledger_step)s, {_BEGUN} FROM timed, changed
        {_AGAIN}
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


class _TakenRow(TypedDict):
    ordinal: int | None
    outcome: Any
    is_owned: bool


def take(connection: Connection, claim: Claim, waits: Sequence[OpenWait], ended: int) -> tuple[int, Any] | None:
    """Record the first of these waits that is over; returns its ordinal and what came of it, if any is.

    It is over when its signals are there, which it consumes, or when its time is. `ended`: when the step is answered,
    by its clock. Raises LeaseLost.
    """
    row: _TakenRow | None = connection.execute(_TAKE, {**_values(claim, waits), "ended": ended}).fetchone()
    if row is None or not row["is_owned"]:
        raise lost(claim)
    return None if row["ordinal"] is None else (row["ordinal"], row["outcome"])


def keep(connection: Connection, claim: Claim, waits: Sequence[OpenWait]) -> dict[int, WaitRecord]:
    """Record that these waits have begun, and when; returns them by ordinal. Raises LeaseLost."""
    rows = connection.execute(_KEEP, _values(claim, waits)).fetchall()
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
    """Let go of a step that only waits, until one of `waits` may be over.

    Within a transaction in which `signal.deliver` follows, for what has come meanwhile. Raises LeaseLost,
    BudgetExhausted.
    """
    head = _head(waits)
    seconds = min((wait.seconds for wait in waits if wait.seconds is not None), default=None)
    data = {"kind": "timer", "seconds": seconds, "until": next((wait.until for wait in waits if wait.until), None)}
    if head["kind"] == "signal":
        data = {"kind": "signal", "names": head["names"], "mode": head["mode"], "timeout": seconds}
    values = {"head": json.dumps(head), "progress": progress, **event_list([("waiting", json.dumps(data))])}
    row: Row | None = connection.execute(_PARK, {**_values(claim, waits), **values}).fetchone()
    if row is None:
        raise refusal(connection, claim)
    return row


def _head(waits: Sequence[OpenWait]) -> dict[str, Any]:
    """What the task waits for as one: the signals, if any, else the clock."""
    signals = [wait.shown for wait in waits if wait.shown["kind"] == "signal"]
    if not signals:
        return {"kind": "timer"}
    names = list(dict.fromkeys(name for shown in signals for name in shown["names"]))
    head = {"kind": "signal", "name": ", ".join(names), "names": names}
    return head | {"mode": signals[0]["mode"] if len(signals) == 1 else "any", "wait_id": signals[0]["wait_id"]}


def _values(claim: Claim, waits: Sequence[OpenWait]) -> dict[str, Any]:
    return {**claim.fence, "ledger_step": claim.ledger_step, "waits": json.dumps([_given(wait) for wait in waits])}


def _given(wait: OpenWait) -> dict[str, Any]:
    record = wait.record
    known: dict[str, Any] = record.wait or {}
    return {
        "ordinal": record.ordinal,
        "name": record.name,
        "branch": record.branch,
        "digest": record.digest,
        "place": record.place,
        "key": record.idempotency_key,
        "begun": record.begun,
        "births": list(record.births),
        "shown": {**wait.shown, **known},
        "age": wait.age,
        "seconds": None if known else wait.seconds,
        "until": known.get("until", wait.until),
        "since": known.get("since"),
    }

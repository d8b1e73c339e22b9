"""waiting → pending: a signal arrives for a task, or is kept in its inbox until it waits for it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NotRequired, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import CLOCKED_SECONDS, IDLE, SNAPSHOT, Row
from agent_tasks.task.identity import Identity
from agent_tasks.task.trace import current_traceparent
from agent_tasks.transitions.audit import audited, entry

_LOCK = f"SELECT {SNAPSHOT} FROM agent_tasks.tasks WHERE id = %s FOR NO KEY UPDATE"


def id_of(wait: LiteralString, name: LiteralString) -> LiteralString:
    """The id by which an answer of this name is for a wait between steps, and for no other.

    Waits of 0.1.0 have one id for all of their names.
    """
    return f"coalesce({wait} -> 'wait_ids' ->> {name}, {wait} ->> 'wait_id')"


_KEEP: LiteralString = f"""
    WITH kept AS (
        INSERT INTO agent_tasks.signals (task_id, name, payload, signal_id, sender, wait_id, receipt, traceparent)
        VALUES (%(id)s, %(name)s, %(payload)s::jsonb, %(signal_id)s, %(sender)s::jsonb, %(wait_id)s, %(receipt)s::jsonb,
            %(traceparent)s)
        ON CONFLICT (task_id, signal_id) WHERE signal_id IS NOT NULL DO NOTHING
        RETURNING task_id
    ), changed AS (
        UPDATE agent_tasks.tasks SET {COUNTED} FROM kept WHERE tasks.id = kept.task_id
        RETURNING tasks.*
    ), {EVENTS}
"""
_KEPT: LiteralString = f"SELECT {SNAPSHOT} FROM changed AS tasks"
_KEEP_AUDITED = f"{_KEEP}, {audited('kept', task_id='kept.task_id')} {_KEPT}"
_KEEP_UNAUDITED = f"{_KEEP} {_KEPT}"

# Any of several: the one that came first. All of several: the first of each, when none is missing. One that names the
# wait it answers is for no other. A step that is parked takes them by itself when it runs: its waits are in the ledger.
_DELIVER = f"""
    WITH waiting AS (
        SELECT id, step_number, waiting_for FROM agent_tasks.tasks
        WHERE id = %(id)s AND status = 'waiting' AND waiting_for ? 'names' FOR NO KEY UPDATE
    ), firsts AS (
        SELECT DISTINCT ON (signals.name) signals.seq FROM agent_tasks.signals
            JOIN waiting ON signals.task_id = waiting.id
        WHERE signals.consumed_step IS NULL
            AND signals.name IN (SELECT jsonb_array_elements_text(waiting.waiting_for -> 'names'))
            AND (signals.wait_id IS NULL OR signals.wait_id = {id_of("waiting.waiting_for", "signals.name")})
        ORDER BY signals.name, signals.seq
    ), consumed AS (
        UPDATE agent_tasks.signals SET consumed_step = waiting.step_number,
            receipt = CASE WHEN signals.signal_id = %(signal_id)s THEN %(receipt)s::jsonb ELSE signals.receipt END
        FROM waiting
        WHERE NOT waiting.waiting_for ? 'waits' AND signals.seq = ANY (ARRAY(SELECT seq FROM firsts))
            AND CASE waiting.waiting_for ->> 'mode'
                WHEN 'all' THEN (SELECT count(*) FROM firsts) = jsonb_array_length(waiting.waiting_for -> 'names')
                ELSE signals.seq = (SELECT min(seq) FROM firsts) END
        RETURNING signals.task_id
    ), woken AS (
        SELECT id FROM waiting WHERE waiting.waiting_for ? 'waits' AND EXISTS (
            SELECT FROM agent_tasks.calls
            WHERE calls.task_id = waiting.id AND calls.step_number = waiting.step_number AND calls.status = 'started'
                AND (
                    SELECT count(DISTINCT signals.name) FROM agent_tasks.signals
                    WHERE signals.task_id = waiting.id AND signals.consumed_step IS NULL
                        AND calls.wait -> 'wait_ids' ? signals.name
                        AND (signals.wait_id IS NULL OR signals.wait_id = calls.wait -> 'wait_ids' ->> signals.name)
                ) >= CASE calls.wait ->> 'mode'
                    WHEN 'all' THEN jsonb_array_length(calls.wait -> 'names') ELSE 1 END)
    ), received AS (
        UPDATE agent_tasks.signals SET receipt = %(receipt)s::jsonb
        FROM woken WHERE signals.task_id = woken.id AND signals.signal_id = %(signal_id)s
    ), changed AS (
        UPDATE agent_tasks.tasks SET spent_seconds = spent_seconds + {CLOCKED_SECONDS}, {COUNTED}, {IDLE}
        WHERE id = ANY (ARRAY(SELECT task_id FROM consumed UNION ALL SELECT id FROM woken))
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


class InboxRow(TypedDict):
    """A signal that no step has consumed."""

    seq: int
    name: str
    payload: Any


class ConsumedRow(TypedDict):
    """A signal that a step is handed."""

    name: str
    payload: Any
    signal_id: str | None
    sender: dict[str, Any] | None
    sent_at: datetime


class SentRow(TypedDict):
    """A signal as it was sent."""

    name: str
    payload: Any
    sender: dict[str, Any] | None
    wait_id: str | None


class KeptReceipt(TypedDict):
    """The receipt of a signal, as it is kept with it."""

    delivered: bool
    waiting_for: NotRequired[list[str]]


_INBOX = """
    SELECT seq, name, payload FROM agent_tasks.signals
    WHERE task_id = %s AND name = ANY (%s) AND consumed_step IS NULL
        AND (wait_id IS NULL OR wait_id = %s::jsonb ->> name)
    ORDER BY seq
"""

_NAMES_OF = """
    SELECT own.name FROM agent_tasks.calls, jsonb_each_text(calls.wait -> 'wait_ids') AS own (name, wait_id)
    WHERE calls.task_id = %s AND calls.step_number = %s AND calls.status = 'started' AND own.wait_id = %s
"""

_RECEIPT = """
    SELECT coalesce(receipt, jsonb_build_object('delivered', coalesce(consumed_step >= 0, false))) AS receipt
    FROM agent_tasks.signals WHERE task_id = %s AND signal_id = %s
"""

_SENT = "SELECT name, payload, sender, wait_id FROM agent_tasks.signals WHERE task_id = %s AND signal_id = %s"

_IS_KEPT = "SELECT FROM agent_tasks.signals WHERE task_id = %s AND signal_id = %s AND name = %s"

_REFUSE = f"""
    WITH refused AS (
        UPDATE agent_tasks.signals SET consumed_step = -1 WHERE seq = %(seq)s
            AND consumed_step IS NULL RETURNING task_id
    ), changed AS (
        UPDATE agent_tasks.tasks SET {COUNTED} FROM refused WHERE tasks.id = refused.task_id RETURNING tasks.*
    ), {EVENTS}
    SELECT id FROM changed
"""

# A step that is parked takes its signals only when it runs.
_SENDERS = """
    SELECT traceparent FROM agent_tasks.signals
    WHERE task_id = %(id)s AND name = ANY (%(names)s::text[]) AND traceparent IS NOT NULL AND consumed_call IS NULL
        AND CASE WHEN %(is_parked)s THEN consumed_step IS NULL ELSE consumed_step = %(step_number)s END
    ORDER BY seq LIMIT 20
"""

_CONSUMED = """
    SELECT name, payload, signal_id, sender, sent_at FROM agent_tasks.signals
    WHERE task_id = %s AND consumed_step = %s AND consumed_call IS NULL ORDER BY seq
"""


def lock(connection: Connection, task_id: UUID) -> Row | None:
    """Lock the task, which then stays as it is until the end of this transaction."""
    return connection.execute(_LOCK, [task_id]).fetchone()


def keep(
    connection: Connection,
    task_id: UUID,
    name: str,
    payload: str,
    *,
    signal_id: str | None,
    sender: Identity | None,
    wait_id: str | None = None,
    waiting_for: Sequence[str] = (),
    is_audited: bool = True,
) -> Row | None:
    """Put a signal into the inbox of a task that was locked; None where this `signal_id` was there before.

    `payload` is JSON text. `wait_id`: it answers this wait and no other. `waiting_for`: what its sender
    is told that the task waits for, should it not be delivered. `is_audited`: not where the audit has one row for many.
    """
    said_by = sender.model_dump(mode="json") if sender else None
    data = json.dumps({"name": name, "signal_id": signal_id, "sender": said_by})
    values = {
        "id": task_id,
        "name": name,
        "payload": payload,
        "signal_id": signal_id,
        "sender": json.dumps(said_by) if sender else None,
        "wait_id": wait_id,
        "receipt": json.dumps({"delivered": False, "waiting_for": list(waiting_for)}),
        "traceparent": current_traceparent(),
        **entry("signal", sender, target=name, data={"signal_id": signal_id} if signal_id else None),
    }
    statement = _KEEP_AUDITED if is_audited else _KEEP_UNAUDITED
    return connection.execute(statement, {**values, **event_list([("signalled", data)])}).fetchone()


def receipt(connection: Connection, task_id: UUID, signal_id: str) -> KeptReceipt | None:
    """The kept receipt of this signal: `delivered`, and what the task waited for. None where none was sent."""
    row = connection.execute(_RECEIPT, [task_id, signal_id]).fetchone()
    return row["receipt"] if row else None


def sent(connection: Connection, task_id: UUID, signal_id: str) -> SentRow | None:
    """Return the signal of this id as it was sent; None where none was."""
    return connection.execute(_SENT, [task_id, signal_id]).fetchone()


def is_kept(connection: Connection, task_id: UUID, name: str, *, signal_id: str) -> bool:
    """Whether the signal of this id, if there is one, has this name."""
    return connection.execute(_IS_KEPT, [task_id, signal_id, name]).fetchone() is not None


def deliver(connection: Connection, task_id: UUID, *, ring_seconds: float, signal_id: str | None = None) -> Row | None:
    """Hand the task the signals it waits for; None where it waits for none of those that are there.

    `signal_id`: of the signal that has just come, whose receipt will say that it was delivered.
    """
    values = {
        "id": task_id,
        "ring_seconds": ring_seconds,
        "signal_id": signal_id,
        "receipt": '{"delivered": true}',
    }
    return connection.execute(_DELIVER, {**values, **event_list([("dispatched", None)])}).fetchone()


def inbox(
    connection: Connection, task_id: UUID, names: Sequence[str], wait_ids: Mapping[str, str] | None = None
) -> list[InboxRow]:
    """The signals of these names that the task has not consumed, for any wait or for the one with these ids."""
    return connection.execute(_INBOX, [task_id, list(names), json.dumps(dict(wait_ids or {}))]).fetchall()


def names_of(connection: Connection, task_id: UUID, step_number: int, wait_id: str) -> list[str]:
    """The names of the signals that the open waits with this id take, within the task's step."""
    return [row["name"] for row in connection.execute(_NAMES_OF, [task_id, step_number, wait_id]).fetchall()]


def refuse(connection: Connection, task_id: UUID, seq: int, why: str) -> None:
    """Take a signal out of the inbox that the step which waits for it does not accept."""
    events = event_list([("signal_refused", json.dumps({"signal": seq, "why": why}))])
    connection.execute(_REFUSE, {"id": task_id, "seq": seq, **events})


def senders(
    connection: Connection, task_id: UUID, step_number: int, names: Sequence[str], *, is_parked: bool
) -> list[str]:
    """The spans that sent the signals by which a wait has ended, as traceparents."""
    values = {"id": task_id, "step_number": step_number, "names": list(names), "is_parked": is_parked}
    return [row["traceparent"] for row in connection.execute(_SENDERS, values).fetchall()]


def consumed(connection: Connection, task_id: UUID, step_number: int) -> list[ConsumedRow]:
    """The signals that this step of the task was handed, in the order they came."""
    return connection.execute(_CONSUMED, [task_id, step_number]).fetchall()

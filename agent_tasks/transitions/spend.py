"""running → running: what a step reports while it runs is durable at once, and fenced."""

import json
from typing import Any, LiteralString

from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import OWNED, STEPPED
from agent_tasks.task.budget import Spend, exact
from agent_tasks.task.row import SteppedRow
from agent_tasks.task.snapshot import reserved_of, spend_of
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import lost


def _report(changes: LiteralString) -> LiteralString:
    return f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET {changes} {COUNTED} WHERE {OWNED} RETURNING *
    ), {EVENTS}
    SELECT {STEPPED} FROM changed AS tasks
    """


_CHARGE = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET
            spent_tokens = least(spent_tokens::numeric + %(tokens)s, 9223372036854775807),
            spent_usd = spent_usd + %(usd)s, {COUNTED}
        WHERE {OWNED} RETURNING *
    ), charge_added AS (
        INSERT INTO agent_tasks.charges (
            task_id, step_number, fingerprint, branch, ended, tokens, usd, spent_tokens, spent_usd, run)
        SELECT id, %(ledger_step)s, %(fingerprint)s, %(branch)s, %(ended)s, %(tokens)s, %(usd)s,
            least(spent_tokens::numeric + reserved_tokens, 9223372036854775807), spent_usd + reserved_usd, run
        FROM changed WHERE %(fingerprint)s::text IS NOT NULL
    ), {EVENTS}
    SELECT {STEPPED} FROM changed AS tasks
"""
_KEEP_PARTIAL = _report("partial = %(partial)s::jsonb, remaining = %(remaining)s::jsonb,")
_SHOW_PROGRESS = _report("progress = %(progress)s::jsonb,")
_EMIT = _report("")


def _run(
    connection: Connection, sql: LiteralString, claim: Claim, events: list[tuple[str, str | None]], **values: Any
) -> SteppedRow:
    row: SteppedRow | None = connection.execute(sql, {**claim.fence, **values, **event_list(events)}).fetchone()
    if row is None:
        raise lost(claim)
    return row


def charge(
    connection: Connection,
    claim: Claim,
    *,
    tokens: int,
    usd: float,
    identity: CallIdentity | None = None,
    ended: int = 0,
) -> tuple[Spend, Spend]:
    """Add to what the task has spent, above its limit too: the money is gone. Raises LeaseLost.

    Returns what is spent, and what is reserved for living children. `identity`: what a repeat of the step knows the
    charge by, if there can be one; `ended`: when the step is answered, by its clock.
    """
    data = json.dumps({"tokens": tokens, "usd": usd})
    values = {
        "fingerprint": None if identity is None else identity.fingerprint,
        "branch": None if identity is None else identity.branch,
        "ended": ended,
        "ledger_step": claim.ledger_step,
        "tokens": tokens,
        "usd": exact(usd),
    }
    row = _run(connection, _CHARGE, claim, [("charged", data)], **values)
    return spend_of(row), reserved_of(row)


def cancel_charge(connection: Connection, claim: Claim, identity: CallIdentity) -> None:
    """Note that the step had cancelled a charge before it was answered. The money is gone all the same."""
    connection.execute(
        f"""
        UPDATE agent_tasks.charges SET ended = NULL FROM agent_tasks.tasks WHERE {OWNED} AND charges.task_id = tasks.id
            AND charges.step_number = %(ledger_step)s AND charges.fingerprint = %(fingerprint)s
        """,
        {**claim.fence, "ledger_step": claim.ledger_step, "fingerprint": identity.fingerprint},
    )


def keep_partial(connection: Connection, claim: Claim, value: str, remaining: str | None = None) -> SteppedRow:
    """Keep a value should the task end early, and what is left to do then (JSON texts); replaces an earlier one.

    Raises LeaseLost.
    """
    return _run(connection, _KEEP_PARTIAL, claim, [("partial", None)], partial=value, remaining=remaining)


def show_progress(connection: Connection, claim: Claim, progress: str) -> SteppedRow:
    """Write the task's progress. Raises LeaseLost."""
    return _run(connection, _SHOW_PROGRESS, claim, [], progress=progress)


def emit(connection: Connection, claim: Claim, name: str, data: str) -> SteppedRow:
    """Append an event of the agent's own to the task's history. Raises LeaseLost."""
    return _run(connection, _EMIT, claim, [(name, data)])

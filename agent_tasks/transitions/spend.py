"""running → running: what a step reports while it runs is durable at once, and fenced."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, LiteralString

from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import OWNED, STEPPED
from agent_tasks.task.amount import Amount
from agent_tasks.task.budget import Spend, exact
from agent_tasks.task.row import SteppedRow
from agent_tasks.task.snapshot import held_of, reserved_of, spend_of
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
            spent_usd = spent_usd + %(usd)s, held_tokens = held_tokens - %(from_tokens)s,
            held_usd = held_usd - %(from_usd)s, {COUNTED}
        WHERE {OWNED} RETURNING *
    ), calls_charged AS (
        UPDATE agent_tasks.calls SET tokens = least(calls.tokens::numeric + part.tokens, 9223372036854775807),
            usd = calls.usd + part.usd,
            held_tokens = calls.held_tokens - part.from_tokens, held_usd = calls.held_usd - part.from_usd
        FROM changed, jsonb_to_recordset(%(parts)s::jsonb) AS part (
            ordinal integer, tokens bigint, usd numeric, from_tokens bigint, from_usd numeric)
        WHERE calls.task_id = changed.id AND calls.step_number = %(ledger_step)s AND calls.ordinal = part.ordinal
    ), charge_added AS (
        INSERT INTO agent_tasks.charges (
            task_id, step_number, fingerprint, branch, ended, tokens, usd, spent_tokens, spent_usd, run)
        SELECT id, %(ledger_step)s, %(fingerprint)s, %(branch)s, %(ended)s, %(tokens)s, %(usd)s,
            least(spent_tokens::numeric + reserved_tokens + held_tokens, 9223372036854775807),
            spent_usd + reserved_usd + held_usd, run
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


@dataclass(frozen=True, slots=True)
class CallPart:
    """A call within which something is charged."""

    ordinal: int
    name: str
    cost: Amount
    """What is counted as its own: all, for the innermost; nothing, for those around it."""
    reserved: Amount
    """What of it is taken from the call's reservation."""


def charge(
    connection: Connection,
    claim: Claim,
    *,
    tokens: int,
    usd: float,
    identity: CallIdentity | None = None,
    ended: int = 0,
    parts: Sequence[CallPart] = (),
    model: str | None = None,
) -> tuple[Spend, Spend, Spend]:
    """Add to what the task has spent, above its limit too: the money is gone. Raises LeaseLost.

    Returns what is spent, what is reserved for living children, and what by calls. `identity`: what a repeat of the
    step knows the charge by, if there can be one; `ended`: when the step is answered, by its clock; `parts`: the calls
    within which it is charged, from the inside out; `model`: what it was paid for.
    """
    data: dict[str, Any] = {"tokens": tokens, "usd": usd}
    if model is not None:
        data["model"] = model
    if parts:
        data |= {"call": parts[0].name, "ordinal": parts[0].ordinal}
    values = {
        "fingerprint": None if identity is None else identity.fingerprint,
        "branch": None if identity is None else identity.branch,
        "ended": ended,
        "ledger_step": claim.ledger_step,
        "tokens": tokens,
        "usd": exact(usd),
        "from_tokens": sum(part.reserved.tokens for part in parts),
        "from_usd": sum((part.reserved.usd for part in parts), Decimal(0)),
        "parts": json.dumps([_part(part) for part in parts]),
    }
    row = _run(connection, _CHARGE, claim, [("charged", json.dumps(data))], **values)
    return spend_of(row), reserved_of(row), held_of(row)


def _part(part: CallPart) -> dict[str, Any]:
    return {
        "ordinal": part.ordinal,
        "tokens": part.cost.tokens,
        "usd": str(part.cost.usd),
        "from_tokens": part.reserved.tokens,
        "from_usd": str(part.reserved.usd),
    }


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

"""running → waiting: a step is committed, and the task waits for a signal or for the clock."""

import json
from collections.abc import Sequence
from datetime import datetime

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.task.hook_token import wait_id_of
from agent_tasks.transitions.checkpoint import Committed, committing, run_commit
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.open_wait import shown_of
from agent_tasks.transitions.signal import deliver

_WAIT = committing(
    """
    status = 'waiting', worker = NULL, attempt = 0, rings = 0,
    due_at = clock_timestamp() + make_interval(secs => %(timeout)s),
    waiting_for = %(awaits)s::jsonb || jsonb_build_object('since', clock_timestamp(),
        'until', clock_timestamp() + make_interval(secs => %(timeout)s))
    """,
    awaits="%(awaits)s::jsonb",
)

_SLEEP = committing(
    """
    status = 'waiting', worker = NULL, attempt = 0, rings = 0,
    due_at = coalesce(%(until)s::timestamptz, clock_timestamp() + make_interval(secs => %(seconds_to_sleep)s)),
    waiting_for = jsonb_build_object('kind', 'timer', 'since', clock_timestamp(), 'until',
        coalesce(%(until)s::timestamptz, clock_timestamp() + make_interval(secs => %(seconds_to_sleep)s)))
    """,
    awaits="waiting_for",
)


def wait(
    connection: Connection,
    claim: Claim,
    committed: Committed,
    names: Sequence[str],
    *,
    wait_ids: dict[str, str] | None = None,
    all_of_them: bool,
    timeout: float | None,
    on_timeout: str | None,
    ring_seconds: float,
) -> Row:
    """Wait for any of the signals `names`, or for all; one that is in the inbox already is consumed at once.

    `timeout` in seconds; then the step `on_timeout` runs, or the next step with no signal. Within a
    transaction. Raises LeaseLost, BudgetExhausted.
    """
    mode = "all" if all_of_them else "any"
    ids = wait_ids or dict.fromkeys(names, wait_id_of(claim.lineage_id, claim.step_number))
    awaits = {**shown_of(ids, mode), "timeout": timeout, "on_timeout": on_timeout}
    data = json.dumps({"kind": "signal", "names": list(names), "mode": mode, "timeout": timeout})
    row = run_commit(connection, _WAIT, claim, committed, ("waiting", data), awaits=json.dumps(awaits), timeout=timeout)
    return deliver(connection, claim.id, ring_seconds=ring_seconds) or row


def sleep(
    connection: Connection, claim: Claim, committed: Committed, *, seconds: float | None, until: datetime | None
) -> Row:
    """Wait for `seconds`, or until a time, by the database's clock. Raises LeaseLost, BudgetExhausted."""
    data = json.dumps({"kind": "timer", "seconds": seconds, "until": until.isoformat() if until else None})
    return run_commit(connection, _SLEEP, claim, committed, ("waiting", data), seconds_to_sleep=seconds, until=until)

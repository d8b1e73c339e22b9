"""running → waiting: a step is committed, its children are spawned, and the task waits for them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.task.allotment import DIVIDED
from agent_tasks.task.arguments import LONGEST_WAIT
from agent_tasks.task.budget import Budget, Spend, crossed, exact_sum
from agent_tasks.transitions.checkpoint import Committed, committing, run_commit
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.submit import Kin, NewTask, submit

_FAN_OUT = committing(
    """
    status = 'waiting', worker = NULL, attempt = 0, rings = 0, children_left = %(children)s,
    on_child_failure = %(on_child_failure)s,
    reserved_tokens = reserved_tokens + %(tokens)s, reserved_usd = reserved_usd + %(usd)s,
    reserved_steps = reserved_steps + %(steps)s, reserved_calls = reserved_calls + %(calls)s,
    due_at = clock_timestamp() + make_interval(secs => %(patience)s),
    waiting_for = %(awaits)s::jsonb || jsonb_build_object('since', clock_timestamp(),
        'until', clock_timestamp() + make_interval(secs => %(patience)s))
    """,
    awaits="%(awaits)s::jsonb",
)


def fan_out(
    connection: Connection,
    claim: Claim,
    committed: Committed,
    children: Sequence[NewTask],
    *,
    on_child_failure: str,
    reserve_seconds: float,
    clamped: dict[int, list[str]],
    ring_seconds: float,
) -> tuple[Row, list[Row]]:
    """Spawn `children` and reserve their budgets from the parent's; returns the parent and the children.

    `reserve_seconds` before the parent's time is over they are called in. Within a transaction. Raises
    LeaseLost, BudgetExhausted.
    """
    awaits = {"kind": "children", "name": f"{len(children)} children", "reserve": reserve_seconds}
    spawned: dict[str, Any] = {"children": len(children), "agents": sorted({child.agent for child in children})}
    if clamped:
        spawned["clamped"] = clamped
    steps = Spend(steps=claim.spent.steps)
    low = [  # the step that spawns counts, too, and what its children then spend crosses the line no more
        ("budget_low", json.dumps({"resource": name, "spent": steps.steps + 1, "limit": getattr(claim.budget, name)}))
        for name in crossed(claim.budget, steps, steps + Spend(steps=1))
    ]
    left = None if claim.budget.seconds is None else claim.budget.seconds - claim.spent.seconds - committed.seconds
    parent = run_commit(
        connection,
        _FAN_OUT,
        claim,
        committed,
        *low,
        ("spawned", json.dumps(spawned)),
        ("waiting", '{"kind": "children"}'),
        awaits=json.dumps(awaits),
        children=len(children),
        on_child_failure=on_child_failure,
        patience=patience(left, reserve_seconds),
        **reserved([child.budget for child in children]),
    )
    reached("halfway")
    kin = Kin(claim.id, parent["root_id"], claim.step_number, parent["depth"] + 1)
    placed = [replace(child, kin=kin, child_index=index) for index, child in enumerate(children)]
    return parent, submit(connection, placed, ring_seconds=ring_seconds)


def patience(left: float | None, reserve_seconds: float) -> float | None:
    """How many seconds children are awaited; None: without end, or beyond all calendars."""
    seconds = None if left is None else max(0.0, left - reserve_seconds)
    return None if seconds is None or seconds > LONGEST_WAIT else seconds


def reserved(budgets: Sequence[Budget]) -> dict[str, Any]:
    """The sums of the children's budgets, by resource: exactly what returns as they end."""
    amounts = {name: [getattr(budget, name) or 0 for budget in budgets] for name in DIVIDED}
    return {name: exact_sum(each) if name == "usd" else sum(each) for name, each in amounts.items()}

"""Why a fenced write changed nothing."""

from typing import NoReturn, Protocol
from uuid import UUID

from agent_tasks.budgets import Spend
from agent_tasks.database import Connection
from agent_tasks.errors import BudgetExhausted, LeaseLost
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.rows import HELD, RUNNING_SECONDS

IN_TIME = f"(tasks.budget_seconds IS NULL OR tasks.spent_seconds + {RUNNING_SECONDS} <= tasks.budget_seconds)"
"""A step that overran its budget of seconds cannot commit."""

_HELD = f"SELECT spent_seconds + {RUNNING_SECONDS} AS spent FROM tasks WHERE {HELD}"


class Held(Protocol):
    """What a run holds: a step of a task."""

    @property
    def id(self) -> UUID: ...
    @property
    def run(self) -> int: ...
    @property
    def step_number(self) -> int: ...


def lost(held: Held) -> LeaseLost:
    """The error of a fenced write that changed nothing."""
    return LeaseLost(f"run {held.run} of task {held.id} does not own step {held.step_number} any more")


def refuse(connection: Connection, claim: Claim) -> NoReturn:
    """Raise LeaseLost, or BudgetExhausted where the run still owns the step: then its seconds were over."""
    row = connection.execute(_HELD, claim.fence).fetchone()
    if row is None:
        raise lost(claim)
    spent = Spend(seconds=float(row["spent"])).seconds
    raise BudgetExhausted.of("seconds", claim.budget.seconds, spent)


def lock_held(connection: Connection, claim: Claim) -> None:
    """Keep the row as it is until the end of this transaction. Raises LeaseLost."""
    if connection.execute(f"SELECT FROM tasks WHERE {HELD} FOR NO KEY UPDATE", claim.fence).fetchone() is None:
        raise lost(claim)

"""The fence of writes by a run, and why one changed nothing."""

import json
from decimal import Decimal
from typing import Any, LiteralString, Protocol, TypedDict
from uuid import UUID

from agent_tasks.errors import BudgetExhausted, LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.rows import OWNED, RUNNING_SECONDS
from agent_tasks.task.budget import Spend
from agent_tasks.transitions.claim import Claim

IN_TIME = f"(tasks.budget_seconds IS NULL OR tasks.spent_seconds + {RUNNING_SECONDS} <= tasks.budget_seconds)"
"""The condition that a step has not overrun its budget of seconds: one that has cannot commit."""

GIVEN_OWNED: LiteralString = """
    tasks.id = given.id AND tasks.run = given.run AND tasks.step_number = given.step_number
        AND tasks.status = 'running'
"""
"""The condition `rows.OWNED`, for each of the rows `given`."""

PASSING_LOCKED: LiteralString = "FOR NO KEY UPDATE OF tasks SKIP LOCKED"
"""The lock that passes over a row that somebody else has locked, so that the rest of its batch need not wait."""

LOCK_OWNED: LiteralString = f"SELECT FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE"
"""The statement that keeps the row as it is until the end of its transaction; it finds it where the run owns it."""

_SPENT = f"SELECT spent_seconds + {RUNNING_SECONDS} AS spent, {IN_TIME} AS in_time FROM agent_tasks.tasks WHERE {OWNED}"


class _SpentRow(TypedDict):
    spent: Decimal | float
    in_time: bool


class Fenced(Protocol):
    """A step of a task, and the run that claims it."""

    @property
    def id(self) -> UUID: ...
    @property
    def run(self) -> int: ...
    @property
    def step_number(self) -> int: ...


def lost(claim: Fenced) -> LeaseLost:
    """The error of a fenced write that changed nothing."""
    return LeaseLost(f"run {claim.run} of task {claim.id} does not own step {claim.step_number} any more")


def locked(claim: Fenced) -> Contention:
    """The error of a fenced write that passed over its row."""
    return Contention(f"somebody else has locked the row of task {claim.id}")


def refusal(connection: Connection, claim: Claim) -> LeaseLost | BudgetExhausted | Contention:
    """Find out why a commit changed nothing: the lease is lost, or the run still owns the step and its seconds were
    over, or somebody else had locked the row."""
    row: _SpentRow | None = connection.execute(_SPENT, claim.fence).fetchone()
    if row is None:
        return lost(claim)
    if row["in_time"]:
        return locked(claim)
    spent = Spend(seconds=float(row["spent"])).seconds
    return BudgetExhausted.of("seconds", claim.budget.seconds, spent)


def given(claim: Claim, *, raw: dict[str, str | None], **fields: Any) -> str:
    """Write a step and its run as an element of a JSON array; `raw` are fields that are JSON text already."""
    plain = json.dumps({"id": str(claim.id), "run": claim.run, "step_number": claim.step_number, **fields})
    return f"{plain[:-1]}{''.join(f', {json.dumps(name)}: {text or _NULL}' for name, text in raw.items())}}}"


_NULL = "null"


def lock_owned(connection: Connection, claim: Claim) -> None:
    """Keep the row as it is until the end of this transaction. Raises LeaseLost."""
    if connection.execute(LOCK_OWNED, claim.fence).fetchone() is None:
        raise lost(claim)

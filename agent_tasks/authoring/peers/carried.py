"""What of a task is said to a peer, and what a peer says of its spending: names of ours in the protocols' metadata."""

from collections.abc import Mapping
from typing import Any, Protocol, cast
from uuid import UUID

from agent_tasks.authoring.calls.spent import Spent
from agent_tasks.task.budget import LARGEST_AMOUNT, Remaining
from agent_tasks.task.identity import Identity

BUDGET = "agent-tasks/budget"
"""What is left to the caller: seconds, tokens and usd, each where there is a limit."""
KEY = "agent-tasks/idempotency-key"
"""The same for each time that a request is sent, so that the peer can tell a repeat."""
USAGE = "agent-tasks/usage"
"""What the peer has spent: tokens and usd."""
_BUDGETED = ("seconds", "tokens", "usd")


class Caller(Protocol):
    """What is asked of the context of a step that calls a peer."""

    task_id: UUID
    identity: Identity | None
    traceparent: str | None

    @property
    def budget(self) -> Remaining: ...

    @property
    def idempotency_key(self) -> str: ...


def budget_of(context: Caller) -> dict[str, Any]:
    """Return what is left of the seconds, tokens and usd of the step's task, each where there is a limit."""
    left = context.budget
    return {name: amount for name in _BUDGETED if (amount := getattr(left, name)) is not None}


def said_of(context: Caller) -> dict[str, Any]:
    """Return what a request says of the step that makes it: what is left of its budget, and its place in its trace."""
    budget = budget_of(context)
    said: dict[str, Any] = {BUDGET: budget} if budget else {}
    return said if context.traceparent is None else {**said, "traceparent": context.traceparent}


def spent_of(meta: Mapping[str, Any]) -> Spent | None:
    """Return what a peer says that it has spent; None where it says nothing that can be counted."""
    given: Any = meta.get(USAGE)
    if not isinstance(given, Mapping):
        return None
    usage = cast("Mapping[str, Any]", given)
    tokens, usd = usage.get("tokens") or 0, usage.get("usd") or 0
    if type(tokens) is not int or type(usd) not in (int, float):
        return None
    if not (0 <= tokens <= LARGEST_AMOUNT and 0 <= usd <= LARGEST_AMOUNT) or not (tokens or usd):
        return None
    return Spent.amounts(tokens, float(usd))

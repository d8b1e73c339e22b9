"""The children that a FanOut spawns: who they are, and what each may spend."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent_tasks.authoring.directives import FanOut
from agent_tasks.client.client import AgentTasks
from agent_tasks.errors import BudgetExhausted, LeaseLost, PayloadTooLarge
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import read
from agent_tasks.store.queries.children import usage
from agent_tasks.store.rows import Row
from agent_tasks.task.allotment import Claimant, divide
from agent_tasks.task.budget import Budget, Remaining, Spend, remaining
from agent_tasks.task.trace import new_traceparent
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.submit import NewTask

_RESERVED_PART = 0.05
"""The part of the seconds left that is reserved where a FanOut names none: `then` must have time to run."""


@dataclass(frozen=True, slots=True)
class Spawned:
    children: list[NewTask]
    reserve_seconds: float
    clamped: dict[int, list[str]]
    """The resources of which a child asked for more than its share, by the child's index."""
    left_seconds: float | None
    """The seconds left of the task's, if it has a budget of them."""


def found(connection: Connection, claim: Claim) -> Row:
    """The row of the task as it is now: what is spent and reserved changes while its step runs. Raises LeaseLost."""
    row = read.find(connection, claim.id)
    if row is None:
        raise LeaseLost(f"task {claim.id} is gone")
    return row


def left_of(claim: Claim, spent: Spend, reserved: Spend) -> Remaining:
    """What children may have together: the step that spawns them counts as spent."""
    return remaining(claim.budget, spent + reserved + Spend(steps=1))


class Spawning:
    """Makes the children of a run, with the parent's identity, extended, and parts of the parent's budget."""

    def __init__(self, client: AgentTasks) -> None:
        self._client = client

    def spawn(self, claim: Claim, directive: FanOut, spent: Spend, reserved: Spend) -> Spawned:
        """Make the children of `directive`, which share what is left of the task after `spent`, and of what is not
        `reserved` for others: those of an earlier FanOut may live on, undoing what they did.

        Raises InvalidInput, UnknownAgent, PayloadTooLarge, and BudgetExhausted where limits do not allow it.
        """
        self._check_limits(claim, len(directive.children))
        targets = {child.agent_name: self._client.find_target(child.agent) for child in directive.children}
        seen = {}
        if directive.split == "adaptive":
            with self._client.database.connection() as connection:
                seen = usage(connection, list(targets))
        left = left_of(claim, spent, reserved)
        if directive.only_watches:
            left = replace(left, tokens=None, usd=None, steps=None, calls=None)
        reserve = directive.reserve
        if reserve.seconds is None and left.seconds and not directive.keeps_nothing:
            reserve = Budget(seconds=left.seconds * _RESERVED_PART).over(reserve)
        asks = [(child.budget or Budget()).over(targets[child.agent_name].budget) for child in directive.children]
        allotments = divide(
            left,
            reserve,
            [
                Claimant(child.weight, ask, seen.get(child.agent_name))
                for child, ask in zip(directive.children, asks, strict=True)
            ],
        )
        identity = claim.identity.extended(claim.agent) if claim.identity else None
        traceparent = claim.traceparent or claim.row["traceparent"] or new_traceparent()
        children = self._within_limit(
            self._client.new_task(
                targets[child.agent_name],
                child.input,
                allotment.budget,
                identity=identity,
                session_id=claim.session_id,
                traceparent=traceparent,
                queue=child.queue or targets[child.agent_name].usual_queue or claim.row["queue"],
                priority=claim.row["priority"] if child.priority is None else child.priority,
                metadata=dict(child.metadata) if child.metadata else None,
                sensitive=claim.row["sensitive"],
            )
            for child, allotment in zip(directive.children, allotments, strict=True)
        )
        clamped = {index: list(allotment.clamped) for index, allotment in enumerate(allotments) if allotment.clamped}
        return Spawned(children, reserve.seconds or 0.0, clamped, left.seconds)

    def _within_limit(self, children: Iterable[NewTask]) -> list[NewTask]:
        """Return them all, or raise PayloadTooLarge; never keeps more than the limit in memory."""
        limit, size, kept = self._client.settings.fan_out_limit, 0, list[NewTask]()
        for child in children:
            size += child.size
            if size > limit:
                kept.clear()
            else:
                kept.append(child)
        if size > limit:
            raise PayloadTooLarge(
                f"The inputs of this FanOut's children are {size:,} bytes of JSON together; the limit is {limit:,}. "
                "Store them elsewhere (a bucket, a table) and pass their addresses, spawn the children in several "
                "FanOuts, or raise AGENT_TASKS_FAN_OUT_LIMIT.",
                payload="inputs of children",
                size=size,
                limit=limit,
            )
        return kept

    def _check_limits(self, claim: Claim, children: int) -> None:
        settings = self._client.settings
        if children > settings.max_children:
            raise BudgetExhausted(
                f"{children:,} children are more than the limit of {settings.max_children:,}: spawn them in several "
                "FanOuts, or raise AGENT_TASKS_MAX_CHILDREN.",
                resource="children",
                limit=settings.max_children,
                asked=children,
            )
        depth = claim.row["depth"] + 1
        if depth > settings.max_depth:
            raise BudgetExhausted(
                f"The tree would be {depth} deep, more than the limit of {settings.max_depth}: agents that spawn each "
                "other without end? Else raise AGENT_TASKS_MAX_DEPTH.",
                resource="children",
                limit=settings.max_depth,
                depth=depth,
            )

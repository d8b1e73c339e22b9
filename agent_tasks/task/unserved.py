"""Tasks whose next step no living worker takes: why, and what to do."""

from enum import StrEnum
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict


class UnservedReason(StrEnum):
    """The reason nobody takes a task's step; where several apply, the first in this order."""

    NO_WORKER = "no_worker"
    NO_AGENT = "no_agent"
    NO_STEP = "no_step"
    NO_QUEUE = "no_queue"
    REFUSED = "refused"


class ServingRow(TypedDict):
    """The counts that `queries.read.serving` returns for an agent's step on a queue."""

    agent: str
    step: str
    queue: str
    living: int
    with_agent: int
    with_step: int
    served: bool


class Unserved(BaseModel):
    """Why no living worker takes the task's step; it waits for one until its TTL is over, and is then given up."""

    model_config = ConfigDict(frozen=True)

    reason: UnservedReason
    message: str
    """The reason in one sentence."""
    action: str
    """The remedy in one sentence."""

    @classmethod
    def refused(cls, refused: dict[str, Any]) -> "Unserved":
        """Build the reason from `tasks.refused`: workers gave the step back, since their code takes other arguments."""
        return cls(
            reason=UnservedReason.REFUSED,
            message=f"Workers gave it back, since their code cannot run it: {refused['why'].rstrip('.')}.",
            action="Deploy the release that recorded it, or a later one that takes these arguments.",
        )

    @classmethod
    def of(cls, row: ServingRow) -> "Unserved | None":
        """Build the reason from what was counted for a step; None where a worker takes it."""
        agent, step, queue = row["agent"], row["step"], row["queue"]
        if row["served"]:
            return None
        if not row["living"]:
            return cls(
                reason=UnservedReason.NO_WORKER,
                message="No worker is alive.",
                action="Start one: agent-tasks worker",
            )
        if not row["with_agent"]:
            return cls(
                reason=UnservedReason.NO_AGENT,
                message=f"No worker has loaded the agent {agent}.",
                action="Name its module in the workers' AGENT_TASKS_AGENTS, and restart them.",
            )
        if not row["with_step"]:
            return cls(
                reason=UnservedReason.NO_STEP,
                message=f"The workers' code of {agent} has no step {step}.",
                action="Deploy code that has it. A renamed step names its old one in was=.",
            )
        return cls(
            reason=UnservedReason.NO_QUEUE,
            message=f"No worker that has {agent}.{step} takes from the queue {queue}.",
            action=f"Start one that does: agent-tasks worker --queues {queue}",
        )

"""The bodies of requests. What is in an input, a budget or a payload is checked by the client, as everywhere."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A JSON object with the documented fields, each of the documented type: nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class BudgetBody(Body):
    """What a task may spend; a field that is left out is the agent's own, or without a limit."""

    seconds: float | None = Field(default=None, description="Of running, from its submit.")
    tokens: int | None = None
    usd: float | None = None
    steps: int | None = None
    calls: int | None = None


class RequestOptions(Body):
    """Which agent is to run, with what, and how: as of `submit` in Python."""

    agent: str = Field(description="The agent's name.", examples=["writer"])
    input: dict[str, Any] | None = Field(default=None, description="The arguments of its first step, by name.")
    budget: BudgetBody | None = None
    session_id: str | None = None
    callback_url: str | None = None
    queue: str | None = Field(
        default=None, description="Left out: the session's own, the agent's, or the deployment's."
    )
    priority: int = Field(default=5, description="0 to 9, 9 the most urgent.")
    ttl: float | None = Field(
        default=None, description="Seconds without progress and a live owner, after which it is given up."
    )
    metadata: dict[str, Any] | None = None


class SubmitBody(RequestOptions):
    """A request to run an agent."""

    mode: Literal["async", "sync", "auto"] | None = Field(
        None, description="Whether the answer waits for the task's end; left out: as the agent says, else async."
    )


class CancelBody(Body):
    """Why a task is cancelled."""

    reason: str = Field(default="cancelled by request", description="Kept with the task.")


class SignalBody(Body):
    """A signal to a task."""

    payload: Any = None
    signal_id: str | None = Field(default=None, description="Sending it again has no second effect.")
    wait_id: str | None = Field(
        default=None, description="Of the snapshot's `waiting_for`: the one wait that it answers."
    )


class ResumeBody(Body):
    """From where a task that has ended goes on, and with what."""

    budget: BudgetBody | None = None
    from_step: int | None = Field(
        default=None, description="An earlier step number than the last checkpoint's: a fork."
    )

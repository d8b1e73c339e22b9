"""The bodies of requests. What is in an input, a budget or a payload is checked by the client, as everywhere."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent_tasks.client.submission import ScheduleOptions
from agent_tasks.task.arguments import LARGEST_NUMBER, LONGEST_TTL
from agent_tasks.task.budget import LARGEST_AMOUNT
from agent_tasks.task.identity import Identity
from agent_tasks.task.target_url import LONGEST_URL

_MOST_FIELDS = 100


class Body(BaseModel):
    """A JSON object with the documented fields, each of the documented type: nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_few_fields(cls, given: Any) -> Any:
        """Refuse many unknown fields in one error: one for each takes seconds, on the event loop."""
        if isinstance(given, dict) and len(given) > _MOST_FIELDS:  # pyright: ignore[reportUnknownArgumentType]
            known = ", ".join(cls.model_fields)
            raise ValueError(f"{len(given):,} fields are too many; the fields are {known}")  # pyright: ignore
        return given


def _within(default: Any, description: str, **limits: Any) -> Any:
    """A field whose limits stand in the document, and are checked by the client, which says what to do."""
    return Field(default=default, description=description, json_schema_extra=limits)


_AMOUNT: dict[str, Any] = {"exclusiveMinimum": 0, "maximum": LARGEST_AMOUNT}
_NAME: dict[str, Any] = {"minLength": 1, "maxLength": 200}
_URL: dict[str, Any] = {"minLength": 1, "maxLength": LONGEST_URL}


class BudgetBody(Body):
    """What a task may spend; a field that is left out is the agent's own, or without a limit."""

    seconds: float | None = _within(None, "Of running, or awaiting children.", **_AMOUNT)
    tokens: int | None = _within(None, "As its steps charge them.", minimum=1, format="int64")
    usd: float | None = _within(None, "As its steps charge them.", **_AMOUNT)
    steps: int | None = _within(None, "Committed steps.", minimum=1, maximum=LARGEST_NUMBER)
    calls: int | None = _within(None, "Recorded calls.", minimum=1, maximum=LARGEST_NUMBER)


class RequestOptions(Body):
    """Which agent is to run, with what, and how: as of `submit` in Python."""

    agent: str = _within(..., "The agent's name, of those that GET /agents lists.", minLength=1, maxLength=64)
    input: dict[str, Any] | None = Field(default=None, description="The arguments of its first step, by name.")
    budget: BudgetBody | None = None
    session_id: str | None = Field(default=None, description="What it belongs to; its children inherit it.")
    callback_url: str | None = _within(
        None, "A URL on the public internet that is told when the task waits, and when it ends.", **_URL
    )
    queue: str | None = _within(None, "Left out: the session's own, the agent's, or the deployment's.", **_NAME)
    priority: int = _within(5, "0 to 9, 9 the most urgent.", minimum=0, maximum=9)
    ttl: float | None = _within(
        None,
        "Seconds without progress and a live owner, after which it is given up.",
        exclusiveMinimum=0,
        maximum=LONGEST_TTL,
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Kept with the task, and given back.")

    def options(self, identity: Identity | None, queue: str | None) -> ScheduleOptions:
        """The options of `submit` and `schedule`: what it gives, for whom it runs, and the queue it goes to."""
        return {
            "identity": identity,
            "session_id": self.session_id,
            "callback_url": self.callback_url,
            "queue": queue,
            "priority": self.priority,
            "ttl": self.ttl,
            "metadata": self.metadata,
        }


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

    payload: Any = Field(default=None, description="What the step that waits gets.")
    signal_id: str | None = _within(None, "Sending it again has no second effect.", minLength=1, maxLength=255)
    wait_id: str | None = _within(
        None, "Of the snapshot's `waiting_for`: the one wait that it answers.", minLength=1, maxLength=255
    )


class ResumeBody(Body):
    """From where a task that has ended goes on, and with what."""

    budget: BudgetBody | None = None
    from_step: int | None = _within(
        None, "An earlier step number than the last checkpoint's: a fork.", minimum=0, maximum=LARGEST_NUMBER
    )
    state: dict[str, Any] | None = Field(
        default=None, description="The arguments of the step `from_step`, all of them, in place of the recorded ones."
    )
    callback_url: str | None = _within(None, "Told of the new task; left out: the URL of the old one.", **_URL)

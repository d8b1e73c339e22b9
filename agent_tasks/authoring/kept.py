"""What a task kept before it ended early, for the task that resumes it."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Kept(BaseModel):
    """A value kept by `ctx.partial`."""

    model_config = ConfigDict(frozen=True)

    value: Any = None
    """The value given to `ctx.partial`."""
    remaining: list[Any] | None = None
    """What was left to do; None if the agent did not say."""

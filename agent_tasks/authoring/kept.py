"""What a task kept before it ended early, as one that goes on from it finds it."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Kept(BaseModel):
    """What was kept by `ctx.partial`."""

    model_config = ConfigDict(frozen=True)

    value: Any = None
    remaining: list[Any] | None = None
    """What was left to do; None where the agent did not say."""

"""What a step returns to say how its task goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

StepRef = str | Callable[..., Any]
"""A step, as the function itself or by its name."""


class Next:
    """Commit this step, then run `step` with `state` as its arguments. A loop is a Next to an earlier step."""

    __slots__ = ("state", "step")

    def __init__(self, step: StepRef, /, **state: Any) -> None:
        self.step = step
        self.state = state

    def __repr__(self) -> str:
        return f"Next({_name(self.step)}, {', '.join(self.state)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Next) and (_name(self.step), self.state) == (_name(other.step), other.state)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Done:
    """End the task as completed. Returning the bare value means the same."""

    result: Any = None


def _name(step: StepRef) -> str:
    return step if isinstance(step, str) else step.__name__

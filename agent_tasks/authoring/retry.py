"""When a failed step is tried again: a pure policy."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent_tasks.errors import AgentTaskError, leaves
from agent_tasks.task.arguments import refused

LONGEST_SECONDS = 366 * 86_400.0
"""The longest wait, whatever an upstream asks for."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with full jitter.

    `attempts` counts the first try; `base` and `cap` are seconds. The wait before try n+1 is drawn evenly
    from 0 to `min(cap, base * 2**(n-1))` (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015). An error's own `retry_after` is a lower bound on it. `on` limits which exceptions are retried;
    typed errors that are not retryable never are. An exception group is retried if all in it are.

    Raises InvalidInput for values that mean nothing.
    """

    attempts: int = 1
    base: float = 1.0
    cap: float = 60.0
    on: tuple[type[BaseException], ...] = (Exception,)

    def __post_init__(self) -> None:
        attempts: Any = self.attempts
        if type(attempts) is not int or attempts < 1:
            said = "Retry(attempts=) counts the first try: it must be a whole number from 1"
            raise refused(said, attempts, "attempts")
        for name in ("base", "cap"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= sys.float_info.max:
                raise refused(f"Retry({name}=) is seconds: finite and not negative", value, name)
        kinds: Any = self.on
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise refused("Retry(on=) takes a tuple of exception classes", self.on, "on")
        object.__setattr__(self, "on", kinds)

    def delay(
        self, error: BaseException, failures: int, draw: Callable[[float, float], float] = random.uniform
    ) -> float | None:
        """Return the seconds to wait after the `failures`-th failure of a step, or None if it is final."""
        if failures >= self.attempts:
            return None
        raised = leaves(error)
        if not isinstance(error, self.on) and not all(isinstance(each, self.on) for each in raised):
            return None
        typed = [each for each in raised if isinstance(each, AgentTaskError)]
        if not all(each.retryable for each in typed):
            return None
        floor = max((each.retry_after or 0.0 for each in typed), default=0.0)
        ceiling = float(min(self.cap, self.base * 2.0 ** min(failures - 1, 60)))
        return min(max(floor, draw(0.0, ceiling)), LONGEST_SECONDS)

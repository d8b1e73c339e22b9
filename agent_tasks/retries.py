"""When a failed step is tried again: a pure policy."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from agent_tasks.errors import AgentTaskError, InvalidInput


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with full jitter.

    `attempts` counts the first try; `base` and `cap` are seconds. Before try n+1 the wait is drawn evenly
    from 0 to min(cap, base * 2**(n-1)) (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015). An error's own `retry_after` is a lower bound on it. `on` limits which exceptions are retried;
    typed errors that say they are not retryable never are.

    Raises InvalidInput for values that mean nothing.
    """

    attempts: int = 1
    base: float = 1.0
    cap: float = 60.0
    on: tuple[type[BaseException], ...] = (Exception,)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidInput("Retry(attempts=) counts the first try: it must be at least 1", field="attempts")
        for name in ("base", "cap"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidInput(f"Retry({name}=) is seconds: it must be finite and not negative", field=name)

    def delay(
        self, error: BaseException, failures: int, draw: Callable[[float, float], float] = random.uniform
    ) -> float | None:
        """Seconds to wait after the `failures`-th failure of a step, or None where it is final."""
        if failures >= self.attempts or not isinstance(error, self.on):
            return None
        if isinstance(error, AgentTaskError):
            if not error.retryable:
                return None
            floor = error.retry_after or 0.0
        else:
            floor = 0.0
        ceiling = min(self.cap, self.base * 2.0 ** min(failures - 1, 60))
        return max(floor, draw(0.0, ceiling))

"""What a task may spend: pure arithmetic on five resources."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from decimal import Context, Decimal
from functools import reduce
from typing import Any, Self

from agent_tasks.errors import BudgetExhausted, InvalidInput
from agent_tasks.task.arguments import refused

RESOURCES = ("seconds", "tokens", "usd", "steps", "calls")
WARNING_PART = 0.8
"""The share of a limit at which the task's history records a warning."""
_LARGEST = {"tokens": 2**63 - 1, "steps": 2**31 - 1, "calls": 2**31 - 1}
"""The resources counted in whole numbers, and the largest value that their columns hold."""
LARGEST_AMOUNT = 1e300
"""The largest amount of seconds or usd in one place: sums of such amounts stay finite."""
_USUAL = tuple((name, int if name in _LARGEST else float, _LARGEST.get(name, LARGEST_AMOUNT)) for name in RESOURCES)
"""The type and maximum that nearly every limit satisfies: a fast check, since budgets are made many times."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit for each resource; None is no limit.

    `seconds` is the time in which steps run or children are awaited: the clock stands still in the queue and
    in waits for signals, timers and retries. `tokens` and `usd` are what `ctx.charge` reports, `steps` the
    committed steps, `calls` the recorded calls.

    Raises InvalidInput for zero, negative, NaN, infinite or non-numeric values.
    """

    seconds: float | None = None
    tokens: int | None = None
    usd: float | None = None
    steps: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        for name, kind, largest in _USUAL:
            value = getattr(self, name)
            if value is not None and not (type(value) is kind and 0 < value <= largest):
                object.__setattr__(self, name, _checked(f"Budget({name}=)", name, value, is_limit=True))

    def over(self, default: "Budget | None") -> "Budget":
        """Return this budget with its open limits taken from `default`."""
        if default is None:
            return self
        return replace(default, **{k: v for k, v in self.as_dict().items() if v is not None})

    def as_dict(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read a budget from JSON. Raises InvalidInput for a resource that does not exist."""
        if unknown := set(values) - set(RESOURCES):
            raise InvalidInput(
                f"Budget has no {', '.join(sorted(unknown))}; its resources are {', '.join(RESOURCES)}", field="budget"
            )
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Spend:
    """The amounts spent; zero is allowed, negative is not.

    Raises InvalidInput for negative, NaN or infinite values.
    """

    seconds: float = 0.0
    tokens: int = 0
    usd: float = 0.0
    steps: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        if (
            type(self.seconds) is type(self.usd) is float
            and type(self.tokens) is type(self.steps) is type(self.calls) is int
            and 0 <= self.seconds < math.inf
            and 0 <= self.usd < math.inf
            and 0 <= self.tokens <= _LARGEST["tokens"]
            and 0 <= self.steps <= _LARGEST["steps"]
            and 0 <= self.calls <= _LARGEST["calls"]
        ):
            return  # nearly always the case, many times a step
        for name in RESOURCES:
            object.__setattr__(self, name, _checked(f"charge({name}=)", name, getattr(self, name)))

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            self.seconds + other.seconds,
            self.tokens + other.tokens,
            float(exact_sum((self.usd, other.usd))) if self.usd and other.usd else self.usd + other.usd,
            self.steps + other.steps,
            self.calls + other.calls,
        )


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of each resource, never below zero; None is no limit."""

    seconds: float | None = None
    tokens: int | None = None
    usd: float | None = None
    steps: int | None = None
    calls: int | None = None


def check_charge(tokens: Any, usd: Any) -> None:
    """Raise InvalidInput for an amount that no single call can have cost."""
    Spend(tokens=tokens, usd=usd)
    if usd > LARGEST_AMOUNT:
        raise InvalidInput(f"charge(usd=) must be at most {LARGEST_AMOUNT:g}, not {usd!r}", field="usd")


def remaining(budget: Budget, spent: Spend) -> Remaining:
    left: dict[str, Any] = {}
    for name in RESOURCES:
        limit = getattr(budget, name)
        used = getattr(spent, name)
        if limit is not None and used and name == "usd":
            left[name] = max(float(exact_sum((limit, -used))), 0)
        else:
            left[name] = None if limit is None else max(limit - used, 0)
    return Remaining(**left)


def overdrawn(budget: Budget, spent: Spend) -> BudgetExhausted | None:
    """Return the error for the first resource that is spent beyond its limit, if any."""
    for name in RESOURCES:
        limit, used = getattr(budget, name), getattr(spent, name)
        if limit is not None and used > limit:
            return BudgetExhausted.of(name, limit, used)
    return None


def crossed(budget: Budget, before: Spend, after: Spend, part: float = WARNING_PART) -> list[str]:
    """Return the resources of which `part` of the limit was reached between `before` and `after`."""
    limits = {name: getattr(budget, name) for name in RESOURCES}
    return [
        name
        for name, limit in limits.items()
        if limit is not None and getattr(before, name) < part * limit <= getattr(after, name)
    ]


def exhausted_for_step(budget: Budget, spent: Spend) -> BudgetExhausted | None:
    """Return the error if one more step may not start: no seconds or no steps are left.

    A step that charges no tokens may run when none are left; `ctx.charge` stops the others.
    """
    for name in ("seconds", "steps"):
        limit, used = getattr(budget, name), getattr(spent, name)
        if limit is not None and used >= limit:
            return BudgetExhausted.of(name, limit, used)
    return None


_EXACT = Context(prec=1000)
"""More digits than any sum of floats has."""


def exact(usd: float | None) -> Decimal | None:
    """Return the decimal number that a float is written as, which Postgres adds up without rounding."""
    return None if usd is None else Decimal(str(usd))


def exact_sum(amounts: Iterable[float]) -> Decimal:
    """Return the sum of the decimal numbers that these floats are written as."""
    return reduce(_EXACT.add, (Decimal(str(amount)) for amount in amounts), Decimal(0))


def _checked(what: str, name: str, value: Any, *, is_limit: bool = False) -> Any:
    """Return `value`, as an int where the resource is counted in whole numbers. Raises InvalidInput."""
    if isinstance(value, int) and value.bit_length() > 1000:  # beyond every float, and too long to print
        raise InvalidInput(f"{what} must be a finite number, not one of more than 300 digits", field=name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refused(f"{what} must be a finite number", value, name)
    if is_limit and value > LARGEST_AMOUNT:
        raise InvalidInput(
            f"{what} must be at most {LARGEST_AMOUNT:g}, not {value!r}; leave it out for no limit", field=name
        )
    if is_limit and value <= 0:
        raise InvalidInput(f"{what} must be above zero, not {value!r}; leave it out for no limit", field=name)
    if value < 0:
        raise InvalidInput(f"{what} must not be negative, not {value!r}", field=name)
    largest = _LARGEST.get(name)
    if largest is None:
        return value
    if value != int(value):
        raise InvalidInput(f"{what} must be a whole number, not {value!r}", field=name)
    if value > largest:
        raise InvalidInput(f"{what} must be at most {largest}, not {value!r}", field=name)
    return int(value)

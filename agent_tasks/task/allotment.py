"""Dividing a parent's budget among its children: pure arithmetic, never handing out more than there is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from agent_tasks.errors import BudgetExhausted
from agent_tasks.task.budget import Budget, Remaining

DIVIDED = ("tokens", "usd", "steps", "calls")
"""The resources that are divided. Seconds are not: children run side by side and share them."""
_UNITS = {"usd": 10**9}
"""Units per whole: dollars are divided in billionths, since whole numbers add up exactly."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """A child to be: its weight, what it asks for (None: its whole share), and what its agent usually uses."""

    weight: float = 1.0
    asks: Budget = field(default_factory=Budget)
    usage: Budget | None = None


@dataclass(frozen=True, slots=True)
class Allotment:
    """A child's budget, and the resources of which the child asked for more than its share."""

    budget: Budget
    clamped: tuple[str, ...] = ()


def divide(left: Remaining, reserve: Budget, claimants: Sequence[Claimant]) -> list[Allotment]:
    """Return the budget of each child: `left` minus `reserve`, by weight; the parent keeps at least one step.

    A share follows `usage` where it is known, and the mean of the others' usage where it is not. The part of a share
    that a child does not ask for stays with the parent. Raises BudgetExhausted where a child would get nothing.
    """
    budgets: list[dict[str, Any]] = [dict[str, Any]() for _ in claimants]
    clamped: list[list[str]] = [[] for _ in claimants]
    if not claimants:
        return []
    for resource in ("seconds", *DIVIDED):
        shares = _shares(resource, left, reserve, claimants)
        for position, (claimant, share) in enumerate(zip(claimants, shares, strict=True)):
            asked = getattr(claimant.asks, resource)
            amount = asked if share is None else share if asked is None else min(asked, share)
            if share is not None and asked is not None and asked > share:
                clamped[position].append(resource)
            if amount is not None and amount <= 0:
                raise BudgetExhausted(
                    f"The budget has no {resource} left for {len(claimants)} children. Raise it, spawn "
                    "fewer, or lower the reserve.",
                    resource=resource,
                    children=len(claimants),
                )
            budgets[position][resource] = amount
    return [Allotment(Budget(**b), tuple(c)) for b, c in zip(budgets, clamped, strict=True)]


def _shares(resource: str, left: Remaining, reserve: Budget, claimants: Sequence[Claimant]) -> list[float | int | None]:
    there = getattr(left, resource)
    if there is None:
        return [None] * len(claimants)
    kept = getattr(reserve, resource) or 0
    if resource == "steps":
        kept = max(kept, 1)  # `then` is a step too
    free = there - kept
    if resource == "seconds":
        return [free] * len(claimants)
    parts = _whole(_weights(resource, claimants))
    total = sum(parts)
    unit = _UNITS.get(resource, 1)
    units = math.floor(Decimal(str(max(0, free))) * unit)
    shares = [units * part // total for part in parts]
    return [share / unit if unit > 1 else share for share in shares]


def _whole(weights: Sequence[float]) -> list[int]:
    """Return whole numbers in the same proportion."""
    ratios = [weight.as_integer_ratio() for weight in weights]
    common = max(below for _, below in ratios)  # the denominators of floats are all powers of two
    return [above * (common // below) for above, below in ratios]


def _weights(resource: str, claimants: Sequence[Claimant]) -> list[float]:
    used = [getattr(c.usage, resource) if c.usage is not None else None for c in claimants]
    known = [float(u) for u in used if u]
    if not known:
        return [c.weight for c in claimants]
    mean = math.fsum(known) / len(known)
    return [c.weight * (float(u) if u else mean) for c, u in zip(claimants, used, strict=True)]

"""What a call reserves, gives back or costs, to the last digit."""

from decimal import Decimal
from typing import NamedTuple

from agent_tasks.task.budget import Budget, exact


class Amount(NamedTuple):
    """Tokens and dollars."""

    tokens: int = 0
    usd: Decimal = Decimal(0)

    @classmethod
    def of(cls, reserve: Budget | None) -> "Amount":
        """Return what a budget says, nothing where it says nothing."""
        if reserve is None:
            return NOTHING
        return cls(reserve.tokens or 0, exact(reserve.usd) or Decimal(0))

    def __bool__(self) -> bool:
        return bool(self.tokens or self.usd)

    def less(self, other: "Amount") -> "Amount":
        return Amount(self.tokens - other.tokens, self.usd - other.usd)

    def within(self, other: "Amount") -> "Amount":
        """Return the part of this that the other one covers."""
        return Amount(min(self.tokens, other.tokens), min(self.usd, other.usd))


NOTHING = Amount()

"""An annotation that only type checkers know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_tasks import Context, agent

if TYPE_CHECKING:
    from decimal import Decimal


@agent("bills")
async def bills(ctx: Context, amount: Decimal):
    return str(amount)

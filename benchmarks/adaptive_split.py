"""How many trees finish when a parent's tokens are split by what agents were seen to use, and not equally.

A calculation over `agent_tasks.task.allotment`, the code that workers divide budgets with: agents whose use of tokens
is log-normal, with medians that differ; a tree finishes when no child needs more than its share.
"""

import random
from statistics import quantiles

from agent_tasks.errors import BudgetExhausted
from agent_tasks.task.allotment import Claimant, divide
from agent_tasks.task.budget import Budget, Remaining
from benchmarks.tables import Table

TREES, CHILDREN, PAST, SEED = 4_000, 5, 200, 7
MEDIANS = (200, 600, 1_500, 4_000, 9_000)
SIGMA = 0.6


def run(quick: bool) -> list[Table]:
    draw = random.Random(SEED)
    seen = {m: quantiles([_use(draw, m) for _ in range(PAST)], n=20)[-1] for m in MEDIANS}
    table = Table(
        f"Trees that finish, of {TREES:,}: {CHILDREN} children, log-normal use of tokens",
        ["parent's tokens", "equal shares", "adaptive shares", "more trees"],
        note=f"Medians {', '.join(f'{m:,}' for m in MEDIANS)} tokens, sigma {SIGMA}; p95 of {PAST} past runs each.",
    )
    for budget in (15_000, 20_000, 30_000, 45_000):
        equal = adaptive = 0
        for _ in range(TREES):
            agents = [draw.choice(MEDIANS) for _ in range(CHILDREN)]
            needs = [_use(draw, median) for median in agents]
            equal += _finishes(budget, needs, [Claimant() for _ in agents])
            adaptive += _finishes(budget, needs, [Claimant(usage=Budget(tokens=int(seen[m]))) for m in agents])
        more = f"{(adaptive / equal - 1) * 100:+.0f} %" if equal else "from none"
        table.rows.append([f"{budget:,}", _part(equal), _part(adaptive), more])
    return [table]


def _use(draw: random.Random, median: float) -> int:
    return max(1, round(median * draw.lognormvariate(0, SIGMA)))


def _finishes(budget: int, needs: list[int], claimants: list[Claimant]) -> bool:
    try:
        shares = divide(Remaining(tokens=budget), Budget(), claimants)
    except BudgetExhausted:
        return False
    return all(need <= (share.budget.tokens or 0) for need, share in zip(needs, shares, strict=True))


def _part(finished: int) -> str:
    return f"{100 * finished / TREES:.0f} %"

"""Bulk operations: how many tasks a second are changed, beside many that have ended."""

import time
from typing import Any

from agent_tasks import TaskFilter
from agent_tasks.client.bulk import BulkOperation
from benchmarks.deployment import Deployment, deployment
from benchmarks.searching import fill
from benchmarks.tables import Table, Target, at_least

ENDED, TASKS, FEW, QUICK = 200_000, 50_000, 2_000, 10
"""Tasks beside, of a fast operation, of one that goes one by one, and by how much less with --quick."""


def run(quick: bool) -> list[Table]:
    with deployment() as made:
        part = QUICK if quick else 1
        fill(made, ENDED // part, 1_000)
        tasks, few = TASKS // part, FEW // part
        table = Table(
            "Bulk operations",
            note=f"Of {tasks:,} pending tasks, {few:,} where it is done one by one, beside {ENDED // part:,} that have "
            "ended; one program, and Redis is told of each. What is moved was given another priority before; what is "
            "cancelled was only submitted.",
        )
        _submit(made, tasks, "moved")
        _one(made, table, "moved", "count what would be cancelled", "cancel", None, dry_run=True)
        _one(made, table, "moved", "give another priority", "prioritise", None, priority=9)
        _one(made, table, "moved", "move to another queue", "move", None, to="rescue")
        _submit(made, tasks, "cancelled")
        _one(made, table, "cancelled", "cancel", "cancel", at_least(5_000, "tasks/s"))
        _one(made, table, "cancelled", "resume, one by one", "resume", None, limit=few)
        _one(made, table, "cancelled", "acknowledge", "acknowledge", None)
        _one(made, table, "cancelled", "purge", "purge", None)
    return [table]


def _submit(made: Deployment, count: int, which: str) -> None:
    inputs = [{"steps": 1}] * 5_000
    for _ in range(0, count, len(inputs)):
        made.client.submit_many("loop", inputs, metadata={"bulk": which})


def _one(
    made: Deployment,
    table: Table,
    which: str,
    what: str,
    operation: BulkOperation,
    target: Target | None,
    **options: Any,
) -> None:
    start = time.perf_counter()
    bulk = made.client.bulk(operation, TaskFilter(metadata={"bulk": which}), **options)
    rate = bulk.done / (time.perf_counter() - start)
    table.check(f"{what}, of {bulk.done:,}", target, rate, f"{rate:,.0f} tasks/s")

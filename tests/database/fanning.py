"""Steps that fan out, and the children that they have."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import Child, ChildOutcome, Context, SyncContext
from tests.database import Row, query
from tests.database.children import run_child
from tests.database.courses import Course


def children_of(c: Course, task_id: UUID | None = None) -> list[Row]:
    return query(
        c.driver.client,
        "SELECT * FROM agent_tasks.tasks WHERE parent_id = %s ORDER BY parent_call, child_index, id",
        task_id or c.task_id,
    )


def ids_of(c: Course) -> list[UUID]:
    return [row["id"] for row in children_of(c)]


def end_all(c: Course) -> None:
    for child in children_of(c):
        if child["finished_at"] is None:
            run_child(c.driver.client, child["id"])


def echoes(*values: int) -> list[Child]:
    return [Child("echo", {"value": value}) for value in values]


def shown(outcomes: list[ChildOutcome]) -> list[Any]:
    return [[outcome.index, outcome.agent, outcome.status, outcome.result] for outcome in outcomes]


async def fans(ctx: Context) -> Any:
    return shown(await ctx.fan_out(echoes(1, 2)))


def fans_plainly(ctx: SyncContext) -> Any:
    return shown(ctx.fan_out(echoes(1, 2)))


both = pytest.mark.parametrize("step", [fans, fans_plainly])


async def until_spawned(c: Course, count: int = 1) -> list[UUID]:
    while len(await asyncio.to_thread(ids_of, c)) < count:
        await asyncio.sleep(0.01)
    return await asyncio.to_thread(ids_of, c)


def may_undo(c: Course, child: UUID) -> None:
    """The child has committed a step that can be undone."""
    sql = (
        "INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, run, seconds, undo) "
        "VALUES (%s, 0, 'echo', 'echo', '{}', 1, 0, true)"
    )
    query(c.driver.client, sql, child)
    query(c.driver.client, "UPDATE agent_tasks.tasks SET step_number = 1, undoable = 1 WHERE id = %s", child)

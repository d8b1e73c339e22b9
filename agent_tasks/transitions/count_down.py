"""waiting → pending, in part: the fan-outs of a step count their children down, each by the call that spawned them."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import IDLE, SNAPSHOT, Row, few

FanOutCall = tuple[UUID | None, int | None, int]
"""A call of ctx.fan_out: the task, the step, and the call's ordinal."""

# The parent is locked first, as by all that ends or parks it.
_COUNT_DOWN = f"""
    WITH ended AS (
        SELECT * FROM jsonb_to_recordset(%(ended)s::jsonb) AS ended (
            task_id uuid, step_number integer, ordinal integer, children integer)
        WHERE {few("step_number")}
    ), parents AS (
        SELECT id, step_number FROM agent_tasks.tasks
        WHERE id = ANY (ARRAY(SELECT task_id FROM ended)) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE agent_tasks.calls SET children_left = greatest(0, calls.children_left - ended.children)
    FROM ended JOIN parents ON parents.id = ended.task_id AND parents.step_number = ended.step_number
    WHERE calls.task_id = ended.task_id AND calls.step_number = ended.step_number AND calls.ordinal = ended.ordinal
        AND calls.task_id = ANY (ARRAY(SELECT task_id FROM ended)) AND calls.status = 'started'
    RETURNING calls.task_id, calls.step_number, calls.ordinal, calls.children_left = 0 AS is_met,
        calls.wait ->> 'on_child_failure' = 'fail' AS fails
"""


class _CountedRow(TypedDict):
    task_id: UUID
    step_number: int
    ordinal: int
    is_met: bool
    fails: bool


_JOIN_MET = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET {COUNTED}, {IDLE}
        WHERE id = %(id)s AND status = 'waiting' AND EXISTS (
            SELECT FROM agent_tasks.calls WHERE task_id = tasks.id AND calls.step_number = tasks.step_number
                AND ordinal = ANY (%(ordinals)s::int[]) AND calls.status = 'started' AND calls.children_left = 0)
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def call_of(child: Row) -> FanOutCall:
    """The call that spawned a child of a straight-line step."""
    assert child["parent_call"] is not None
    return child["parent_id"], child["parent_step"], child["parent_call"]


def count_down(connection: Connection, ended: Sequence[Row]) -> tuple[list[UUID], set[FanOutCall]]:
    """Count ended children off their calls; returns the parents of which a call has none left, and the calls that end
    their task with the first child that fails.

    Only calls that the parent's step is still in: not one that it has cancelled.
    """
    calls = Counter(call_of(row) for row in ended if row["parent_call"] is not None)
    if not calls:
        return [], set()
    given = [
        {"task_id": str(task), "step_number": step, "ordinal": ordinal, "children": children}
        for (task, step, ordinal), children in calls.items()
    ]
    rows: list[_CountedRow] = connection.execute(_COUNT_DOWN, {"ended": json.dumps(given)}).fetchall()
    met = [row["task_id"] for row in rows if row["is_met"]]
    return met, {(row["task_id"], row["step_number"], row["ordinal"]) for row in rows if row["fails"]}


def join_met(connection: Connection, task_id: UUID, calls: Sequence[int], *, ring_seconds: float) -> Row | None:
    """Wake a step that was parked in this transaction if one of its fan-outs, `calls`, was met meanwhile."""
    values = {"id": task_id, "ordinals": list(calls), "ring_seconds": ring_seconds}
    events = event_list([("joined", None), ("dispatched", None)])
    return connection.execute(_JOIN_MET, {**values, **events}).fetchone()

"""running → running: a call of a step spawns children, with whose outcomes the step's code goes on itself."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.authoring.handed import JoinedChildRow
from agent_tasks.errors import ErrorInfo, ErrorType, SuggestedAction
from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import OWNED, SNAPSHOT, WILL_END, Row
from agent_tasks.task.budget import Budget
from agent_tasks.transitions.cancel import cancel_trees
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.fan_out import patience, reserved
from agent_tasks.transitions.fence import IN_TIME, lost, refusal
from agent_tasks.transitions.ledger import RecordedCall
from agent_tasks.transitions.resume import resume
from agent_tasks.transitions.submit import Kin, NewTask, submit

# What is given out was divided before: what others have spent and reserved meanwhile is there no more. (Dollars were
# read as floats.) The step that spawns counts as one.
_STILL_THERE: LiteralString = """
    (%(tokens)s = 0 OR tasks.budget_tokens IS NULL
        OR tasks.spent_tokens::numeric + tasks.reserved_tokens + tasks.held_tokens + %(tokens)s <= tasks.budget_tokens)
    AND (%(usd)s = 0 OR tasks.budget_usd IS NULL
        OR tasks.spent_usd + tasks.reserved_usd + tasks.held_usd + %(usd)s <= tasks.budget_usd * 1.000000000001)
    AND (%(steps)s = 0 OR tasks.budget_steps IS NULL
        OR tasks.spent_steps::bigint + tasks.reserved_steps + %(steps)s < tasks.budget_steps)
    AND (%(calls)s = 0 OR tasks.budget_calls IS NULL
        OR tasks.spent_calls::bigint + tasks.reserved_calls + %(calls)s <= tasks.budget_calls)
"""

# The children of a call that is made again, since its failure or its end ended a try, are awaited no more.
_SPAWN = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET children_left = children_left + %(children)s,
            reserved_tokens = reserved_tokens + %(tokens)s, reserved_usd = reserved_usd + %(usd)s,
            reserved_steps = reserved_steps + %(steps)s, reserved_calls = reserved_calls + %(calls)s, {COUNTED}
        WHERE {OWNED} AND {IN_TIME} AND {_STILL_THERE}
        RETURNING tasks.*
    ), left_alone AS (
        UPDATE agent_tasks.tasks SET parent_call = -1 FROM changed
        WHERE tasks.parent_id = %(id)s AND tasks.parent_step = %(step_number)s AND tasks.parent_call = %(ordinal)s
    ), spawned AS (
        INSERT INTO agent_tasks.calls AS old (task_id, step_number, ordinal, name, status, at_most_once,
            idempotency_key, run, branch, digest, place, begun, births, wait, children_left)
        SELECT id, step_number, %(ordinal)s, %(name)s, 'started', false, %(key)s, run, %(branch)s, %(digest)s,
            %(place)s, %(begun)s, %(births)s::int[], %(wait)s::jsonb || jsonb_build_object('since', clock_timestamp(),
                'until', clock_timestamp() + make_interval(secs => %(patience)s)), %(children)s
        FROM changed
        ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
            status = 'started', run = excluded.run, attempts = old.attempts + 1, begun = excluded.begun,
            births = excluded.births, wait = excluded.wait, children_left = excluded.children_left, outcome = NULL,
            ended = NULL, replay = NULL, finished_at = NULL
        RETURNING wait
    ), {EVENTS}
    SELECT {SNAPSHOT}, (SELECT wait FROM spawned) AS wait FROM changed AS tasks
"""

# One that was called in, and still undoes what it did, has its end decided.
_TAKE: LiteralString = f"""
    WITH ready AS (
        SELECT calls.ordinal, row_number() OVER (ORDER BY calls.ordinal) AS place FROM agent_tasks.calls
        WHERE task_id = %(id)s AND step_number = %(step_number)s AND ordinal = ANY (%(ordinals)s::int[])
            AND status = 'started'
            AND (children_left = 0 OR (wait ->> 'until')::timestamptz <= clock_timestamp() AND NOT EXISTS (
                SELECT FROM agent_tasks.tasks WHERE parent_id = calls.task_id AND parent_step = calls.step_number
                    AND parent_call = calls.ordinal AND {WILL_END}))
    ), owned AS (
        SELECT tasks.id FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE
    ), taken AS (
        UPDATE agent_tasks.calls SET status = 'completed', outcome = 'null', ended = (%(orders)s::int[])[ready.place],
            replay = NULL, finished_at = clock_timestamp()
        FROM ready, owned
        WHERE calls.task_id = %(id)s AND calls.step_number = %(step_number)s AND calls.ordinal = ready.ordinal
        RETURNING calls.ordinal, calls.ended
    )
    SELECT taken.ordinal, taken.ended FROM owned LEFT JOIN taken ON true ORDER BY 2
"""

_CANCEL = f"""
    WITH owned AS (
        SELECT tasks.id FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE
    )
    UPDATE agent_tasks.calls SET status = 'cancelled', ended = %(ended)s, replay = NULL, outcome = NULL,
        finished_at = clock_timestamp()
    FROM owned WHERE task_id = %(id)s AND step_number = %(step_number)s AND ordinal = %(ordinal)s
    RETURNING ordinal
"""

_LIVING = f"""
    SELECT id FROM agent_tasks.tasks
    WHERE parent_id = %(id)s AND parent_step = %(step_number)s AND parent_call = %(ordinal)s AND {WILL_END}
"""
_CANCELLED = ErrorInfo(
    type=ErrorType.CANCELLED,
    message="the step that spawned it cancelled its fan-out",
    suggested_action=SuggestedAction.RESUME,
)


class SpentMeanwhile(Exception):
    """Less is left of the budget than was divided: others have spent or reserved some of it since."""


class SpawningRow(Row):
    """The parent's row, with the wait as the ledger keeps it from then on."""

    wait: dict[str, Any]


class _TakenRow(TypedDict):
    ordinal: int | None
    ended: int


def spawn(
    connection: Connection,
    claim: Claim,
    record: RecordedCall,
    children: Sequence[NewTask],
    *,
    on_child_failure: str,
    left: float | None,
    reserve_seconds: float,
    clamped: dict[int, list[str]],
    ring_seconds: float,
) -> tuple[SpawningRow, list[Row]]:
    """Spawn the children of a call and reserve their budgets, in one with the call's record, so that it is done once.

    `left`: the seconds left of the task's, if it has a budget of them; `reserve_seconds` before their end the children
    are called in. Returns the parent and the children. Within a transaction. Raises LeaseLost, BudgetExhausted,
    SpentMeanwhile.
    """
    wait = _wait(record, len(children), on_child_failure, reserve_seconds)
    data: dict[str, Any] = {"children": len(children), "agents": sorted({child.agent for child in children})}
    if clamped:
        data["clamped"] = clamped
    budgets = [child.budget for child in children]
    parent = _begin(connection, claim, record, wait, budgets, data, patience(left, reserve_seconds))
    reached("halfway")
    kin = _kin(claim, record, parent)
    placed = [replace(child, kin=kin, child_index=index) for index, child in enumerate(children)]
    return parent, submit(connection, placed, ring_seconds=ring_seconds)


def go_on(
    connection: Connection,
    claim: Claim,
    record: RecordedCall,
    unfinished: Sequence[JoinedChildRow],
    budgets: Sequence[Budget],
    *,
    left: float | None,
    ring_seconds: float,
) -> tuple[SpawningRow, list[Row]]:
    """Resume, in a task that was resumed, those children of a call that had not completed; otherwise as `spawn`."""
    wait = {name: value for name, value in record.wait.items() if name not in ("since", "until")} | {"resumed": True}
    data = {"children": len(unfinished), "agents": sorted({child["agent"] for child in unfinished}), "resumed": True}
    parent = _begin(connection, claim, record, wait, budgets, data, patience(left, record.wait["reserve"]))
    reached("halfway")
    kin, rows = _kin(claim, record, parent), list[Row]()
    for child, budget in zip(unfinished, budgets, strict=True):
        rows += resume(
            connection, child["id"], budget=budget, ring_seconds=ring_seconds, kin=kin, repeats_not_undone=True
        )
    return parent, rows


def take(connection: Connection, claim: Claim, calls: Sequence[int], orders: Sequence[int]) -> list[tuple[int, int]]:
    """Record the end of those of these calls whose children have ended; returns the ordinal of each, and its order.

    `orders`: as many times at which the step may be answered, by its clock. Raises LeaseLost.
    """
    values = {**claim.fence, "ordinals": list(calls), "orders": list(orders)}
    rows: list[_TakenRow] = connection.execute(_TAKE, values).fetchall()
    if not rows:
        raise lost(claim)
    return [(row["ordinal"], row["ended"]) for row in rows if row["ordinal"] is not None]


def cancel(connection: Connection, claim: Claim, record: RecordedCall, ended: int, *, ring_seconds: float) -> list[Row]:
    """Record that the step's own code cancelled a call, and cancel its children; returns the rows that this changed.

    Within a transaction. Raises LeaseLost.
    """
    values = {**claim.fence, "ordinal": record.ordinal, "ended": ended}
    if connection.execute(_CANCEL, values).fetchone() is None:
        raise lost(claim)
    living: list[UUID] = [row["id"] for row in connection.execute(_LIVING, values)]
    if not living:
        return []
    rows, above = end(connection, lambda c: cancel_trees(c, living, _CANCELLED), ring_seconds=ring_seconds)
    return [*rows, *above]


def _wait(record: RecordedCall, children: int, on_child_failure: str, reserve_seconds: float) -> dict[str, Any]:
    return {
        "kind": "children",
        "name": f"{children} children",
        "call": record.ordinal,
        "children": children,
        "reserve": reserve_seconds,
        "on_child_failure": on_child_failure,
    }


def _begin(
    connection: Connection,
    claim: Claim,
    record: RecordedCall,
    wait: dict[str, Any],
    budgets: Sequence[Budget],
    spawned: dict[str, Any],
    seconds: float | None,
) -> SpawningRow:
    values = {
        **claim.fence,
        **reserved(budgets),
        "ordinal": record.ordinal,
        "name": record.name,
        "key": record.idempotency_key,
        "branch": record.branch,
        "digest": record.digest,
        "place": record.place,
        "begun": record.begun,
        "births": list(record.births),
        "wait": json.dumps(wait),
        "patience": seconds,
        "children": len(budgets),
        **event_list([("spawned", json.dumps(spawned))]),
    }
    row: SpawningRow | None = connection.execute(_SPAWN, values).fetchone()
    if row is None:
        refused = refusal(connection, claim)
        raise SpentMeanwhile if isinstance(refused, Contention) else refused  # it waits for a lock
    return row


def _kin(claim: Claim, record: RecordedCall, parent: Row) -> Kin:
    return Kin(claim.id, parent["root_id"], claim.step_number, parent["depth"] + 1, record.ordinal)

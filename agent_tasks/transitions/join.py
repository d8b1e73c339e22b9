"""waiting → pending: children have ended, and the last of them wakes the parent. The join is a counter."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from agent_tasks.allotment import DIVIDED
from agent_tasks.budgets import WARNING_PART
from agent_tasks.database import Connection
from agent_tasks.errors import ErrorInfo, ErrorType, SuggestedAction
from agent_tasks.transitions.cancel import cancel_below
from agent_tasks.transitions.rows import CLOCKED_SECONDS, COUNTED_ENDING, ENDING_EVENT, SNAPSHOT, WILL_END, Row, ending

# The counter goes down for children of the current FanOut only: a child that ends after its parent was called
# in finds no counter. What it leaves unspent returns all the same.
_JOIN = f"""
    WITH ended AS (
        SELECT * FROM unnest(%(ids)s::uuid[], %(children)s::int[], %(spent_tokens)s::numeric[],
            %(spent_usd)s::float8[], %(spent_steps)s::int[], %(spent_calls)s::int[], %(back_tokens)s::numeric[],
            %(back_usd)s::float8[], %(back_steps)s::int[], %(back_calls)s::int[], %(parent_steps)s::int[])
            AS e (id, children, spent_tokens, spent_usd, spent_steps, spent_calls,
                  back_tokens, back_usd, back_steps, back_calls, parent_step)
    ), living AS (
        SELECT tasks.id, tasks.budget_seconds, tasks.budget_tokens, tasks.budget_usd, tasks.budget_steps,
            tasks.budget_calls, tasks.spent_seconds, tasks.spent_tokens, tasks.spent_usd, tasks.spent_steps,
            tasks.spent_calls, {CLOCKED_SECONDS} AS clocked, ended.parent_step = tasks.step_number - 1 AS current,
            ended.parent_step = tasks.step_number - 1 AND tasks.status = 'waiting'
                AND tasks.waiting_for ->> 'kind' = 'children' AND tasks.children_left <= ended.children AS joined
        FROM tasks JOIN ended USING (id) WHERE tasks.finished_at IS NULL
        ORDER BY tasks.id FOR NO KEY UPDATE OF tasks
    ), low AS (
        SELECT living.id, array_agg(
            jsonb_build_object('resource', resource, 'spent', before + more, 'limit', most) ORDER BY resource) AS told
        FROM living JOIN ended USING (id), LATERAL (VALUES
            ('seconds', budget_seconds::numeric, living.spent_seconds::numeric,
                CASE WHEN joined THEN clocked ELSE 0 END),
            ('tokens', budget_tokens, living.spent_tokens, ended.spent_tokens),
            ('usd', budget_usd, living.spent_usd, ended.spent_usd::numeric),
            ('steps', budget_steps, living.spent_steps, ended.spent_steps),
            ('calls', budget_calls, living.spent_calls, ended.spent_calls)) AS spend (resource, most, before, more)
        WHERE before < most * %(part)s::numeric AND before + more >= most * %(part)s::numeric
        GROUP BY living.id
    ), changed AS (
        UPDATE tasks SET
            children_left = greatest(0, children_left - CASE WHEN living.current THEN ended.children ELSE 0 END),
            spent_tokens = least(tasks.spent_tokens::numeric + ended.spent_tokens, 9223372036854775807),
            spent_usd = tasks.spent_usd + ended.spent_usd::numeric,
            spent_steps = tasks.spent_steps + ended.spent_steps,
            spent_calls = tasks.spent_calls + ended.spent_calls,
            reserved_tokens = greatest(0, reserved_tokens - back_tokens),
            reserved_usd = greatest(0, reserved_usd - back_usd::numeric),
            reserved_steps = greatest(0, reserved_steps - back_steps),
            reserved_calls = greatest(0, reserved_calls - back_calls),
            version = version + 1,
            event_seq = event_seq + coalesce(cardinality(low.told), 0) + 2 * living.joined::int,
            spent_seconds = tasks.spent_seconds + CASE WHEN living.joined THEN living.clocked ELSE 0 END,
            status = CASE WHEN living.joined THEN 'pending' ELSE status END,
            waiting_for = CASE WHEN living.joined THEN NULL ELSE waiting_for END,
            pending_since = CASE WHEN living.joined THEN clock_timestamp() ELSE pending_since END,
            due_at = CASE WHEN living.joined
                THEN clock_timestamp() + make_interval(secs => %(ring_seconds)s) ELSE due_at END
        FROM ended JOIN living USING (id) LEFT JOIN low USING (id) WHERE tasks.id = ended.id
        RETURNING tasks.*, living.joined, low.told
    ), events_added AS (
        INSERT INTO events (task_id, seq, type, data)
        SELECT id, event_seq - 2 * joined::int - cardinality(told) + ordinal, 'budget_low', data
        FROM changed, unnest(told) WITH ORDINALITY AS low (data, ordinal)
        UNION ALL SELECT id, event_seq - 1, 'joined', NULL FROM changed WHERE joined
        UNION ALL SELECT id, event_seq, 'dispatched', NULL FROM changed WHERE joined
    )
    SELECT {SNAPSHOT}, tasks.on_child_failure FROM changed AS tasks
"""

_FAIL_PARENT = f"""
    WITH changed AS (
        UPDATE tasks SET spent_seconds = spent_seconds + {CLOCKED_SECONDS},
            {COUNTED_ENDING}, {ending("'failed'", "%(error)s::jsonb")}
        WHERE id = %(id)s AND {WILL_END}
        RETURNING *
    ), {ENDING_EVENT}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


# A task may end before all below it have: they undo what they did. What they spend then is for who is left above.
_HEIRS = """
    WITH RECURSIVE above AS (
        SELECT id AS ended, id, parent_id, finished_at FROM tasks WHERE id = ANY (%s)
        UNION ALL
        SELECT above.ended, tasks.id, tasks.parent_id, tasks.finished_at
        FROM above JOIN tasks ON tasks.id = above.parent_id WHERE above.finished_at IS NOT NULL
    )
    SELECT ended, id FROM above WHERE finished_at IS NULL
"""


def join(connection: Connection, changed: Sequence[Row], *, ring_seconds: float) -> list[Row]:
    """Tell the parents of the tasks in `changed` that have ended; returns the rows that this changes in turn.

    In the transaction that ended them. A failed child of a parent that asked for it ends the parent, too. Of a
    parent that has ended itself, the next above it that lives takes over the spend, and what was held.
    """
    result: list[Row] = []
    frontier = [row for row in changed if row["finished_at"] is not None]
    while groups := _by_parent(frontier):
        frontier = []
        parents = _join(connection, groups, ring_seconds)
        result += _pass_on(connection, {key: groups[key] for key in groups.keys() - {p["id"] for p in parents}})
        for parent in parents:
            failed = next((row for row in groups[parent["id"]].ended if _failed(row, parent)), None)
            if failed is None or parent["on_child_failure"] != "fail":
                result.append(parent)
                continue
            rows = _fail_parent(connection, parent["id"], failed)
            rows += cancel_below(connection, [parent["id"]], _SIBLING_FAILED)
            result += rows
            frontier += [row for row in rows if row["finished_at"] is not None]
    return result


_SIBLING_FAILED = ErrorInfo(
    type=ErrorType.CANCELLED, message="a sibling failed", suggested_action=SuggestedAction.RESUME
)


def _failed(child: Row, parent: Row) -> bool:
    """Whether a child of the parent's current FanOut has failed."""
    return child["status"] != "completed" and child["parent_step"] == parent["step_number"] - 1


class _Group:
    """What the end of some tasks means for one parent outside of them."""

    def __init__(self) -> None:
        self.ended: list[Row] = []
        self.amounts: dict[str, Any] = defaultdict(int)

    @property
    def parent_step(self) -> int:
        """The newest FanOut that any of them is of; no step's number where they are nobody's children here."""
        return max((row["parent_step"] for row in self.ended), default=-2)

    @property
    def current_children(self) -> int:
        return sum(row["parent_step"] == self.parent_step for row in self.ended)


def _by_parent(ended: Sequence[Row]) -> dict[UUID, _Group]:
    """By parent: its own children among `ended`, and what they and all that ended below them have spent.

    What they held for others, who live on, does not come back yet.
    """
    by_id = {row["id"]: row for row in ended}
    groups: dict[UUID, _Group] = defaultdict(_Group)
    for row in ended:
        top = row
        while top["parent_id"] in by_id:
            top = by_id[top["parent_id"]]
        if top["parent_id"] is None:
            continue
        group = groups[top["parent_id"]]
        for name in DIVIDED:
            group.amounts[f"spent_{name}"] += row[f"spent_{name}"]
            group.amounts[f"back_{name}"] += (row[f"budget_{name}"] or 0) - row[f"reserved_{name}"]
        if top is row:
            group.ended.append(row)
    return groups


def _pass_on(connection: Connection, groups: dict[UUID, _Group]) -> list[Row]:
    """Give the amounts of parents that have ended to who lives above them; what lived a moment ago may not now."""
    rows: list[Row] = []
    while groups:
        heirs: dict[UUID, _Group] = defaultdict(_Group)
        for found in connection.execute(_HEIRS, [list(groups)]).fetchall():
            for name, amount in groups[found["ended"]].amounts.items():
                heirs[found["id"]].amounts[name] += amount
        joined = _join(connection, heirs, ring_seconds=0) if heirs else []
        rows += joined
        groups = {key: heirs[key] for key in heirs.keys() - {row["id"] for row in joined}}
    return rows


def _join(connection: Connection, groups: dict[UUID, _Group], ring_seconds: float) -> list[Row]:
    values: dict[str, Any] = {
        "ids": list(groups),
        "children": [group.current_children for group in groups.values()],
        "parent_steps": [group.parent_step for group in groups.values()],
        "ring_seconds": ring_seconds,
        "part": WARNING_PART,
    }
    for name in (f"{kind}_{resource}" for kind in ("spent", "back") for resource in DIVIDED):
        whole = not name.endswith("usd")
        values[name] = [int(g.amounts[name]) if whole else g.amounts[name] for g in groups.values()]
    return connection.execute(_JOIN, values).fetchall()


def _fail_parent(connection: Connection, parent: UUID, child: Row) -> list[Row]:
    cause = child["error"] or {}
    error = ErrorInfo(
        type=ErrorType.PARTIAL_COMPLETION,
        message=f"Child {child['agent']} ended as {child['status']}: {cause.get('message', '')}"[:4000],
        details={"child": str(child["id"]), "status": child["status"], "cause": cause},
        suggested_action=SuggestedAction.RESUME,
    )
    values = {
        "id": parent,
        "told": json.dumps({"child": str(child["id"])}),
        "error": json.dumps(error.model_dump(mode="json")),
    }
    return connection.execute(_FAIL_PARENT, values).fetchall()

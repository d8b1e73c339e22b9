"""waiting → pending: children have ended, and the last of them wakes the parent. The join is a counter."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.errors import ErrorInfo, ErrorType, SuggestedAction
from agent_tasks.store.database import Connection
from agent_tasks.store.history import written
from agent_tasks.store.rows import (
    CLOCKED_SECONDS,
    COUNTED_ENDING,
    ENDING_EVENT,
    GIVEN_IDS,
    NOTHING_RESERVED,
    SNAPSHOT,
    WILL_END,
    Row,
    ending,
)
from agent_tasks.task.budget import WARNING_PART
from agent_tasks.transitions.cancel import cancel_below
from agent_tasks.transitions.count_down import FanOutCall, call_of, count_down

_JOINED_EVENTS: LiteralString = """
        SELECT id, event_seq - 2 * joined::int - cardinality(warnings) + ordinal, 'budget_low', data
        FROM changed, unnest(warnings) WITH ORDINALITY AS low (data, ordinal)
        UNION ALL SELECT id, event_seq - 1, 'joined', NULL FROM changed WHERE joined
        UNION ALL SELECT id, event_seq, 'dispatched', NULL FROM changed WHERE joined
"""

# Books: a task's spend is its own and that of each child that has ended. So what ended children have spent goes to
# their parent, where that has ended, too, from there to the next above it, and ends with the first that lives, which
# also gets back what they have left; or with the root, which may have ended.
# The counter goes down for children of the current FanOut, and of fan-outs of the current step: a child that ends after
# its parent was called in finds no counter. `met`: parents whose step awaits a fan-out with nobody left.
_JOIN = f"""
    WITH RECURSIVE ended AS (
        SELECT id, parent_id, parent_step, parent_call, spent_tokens, spent_usd, spent_steps, spent_calls,
            budget_tokens, budget_usd, budget_steps, budget_calls, reserved_tokens, reserved_usd, reserved_steps,
            reserved_calls
        FROM agent_tasks.tasks WHERE {GIVEN_IDS}
    ), given AS (
        SELECT parent_id AS id, sum(spent_tokens) AS more_tokens, sum(spent_usd) AS more_usd,
            sum(spent_steps)::numeric AS more_steps, sum(spent_calls)::numeric AS more_calls,
            sum(coalesce(budget_tokens, 0)::numeric - reserved_tokens) AS back_tokens,
            sum(coalesce(budget_usd, 0) - reserved_usd) AS back_usd,
            sum(coalesce(budget_steps, 0)::numeric - reserved_steps) AS back_steps,
            sum(coalesce(budget_calls, 0)::numeric - reserved_calls) AS back_calls
        FROM ended WHERE parent_id IS NOT NULL GROUP BY parent_id
        UNION ALL
        SELECT id, 0, 0, 0, 0, 0, 0, 0, 0 FROM ended WHERE NOT ({NOTHING_RESERVED})
        UNION ALL
        SELECT * FROM jsonb_to_recordset(%(passed_on)s::jsonb) AS passed_on (
            id uuid, more_tokens numeric, more_usd numeric, more_steps numeric, more_calls numeric,
            back_tokens numeric, back_usd numeric, back_steps numeric, back_calls numeric)
    ), above AS (
        SELECT source.id AS source, found.*
        FROM (SELECT DISTINCT id FROM given) AS source, LATERAL (
            SELECT id, parent_id, finished_at IS NOT NULL AS ended FROM agent_tasks.tasks
                WHERE tasks.id = source.id OFFSET 0
        ) AS found
        UNION ALL
        SELECT above.source, found.* FROM above, LATERAL (
            SELECT id, parent_id, finished_at IS NOT NULL FROM agent_tasks.tasks
                WHERE tasks.id = above.parent_id OFFSET 0
        ) AS found WHERE above.ended
    ), sums AS (
        SELECT above.id, bool_and(above.ended) AS passed,
            sum(more_tokens) AS more_tokens, sum(more_usd) AS more_usd, sum(more_steps) AS more_steps,
            sum(more_calls) AS more_calls, sum(back_tokens) AS back_tokens, sum(back_usd) AS back_usd,
            sum(back_steps) AS back_steps, sum(back_calls) AS back_calls
        FROM above JOIN given ON given.id = above.source GROUP BY above.id
    ), siblings AS (
        SELECT parent_id AS id, parent_step + (parent_call IS NULL)::int AS step_number, count(*) AS children
        FROM ended GROUP BY 1, 2
    ), locked AS (
        SELECT tasks.id, tasks.budget_seconds, tasks.budget_tokens, tasks.budget_usd, tasks.budget_steps,
            tasks.budget_calls, tasks.spent_seconds, tasks.spent_tokens, tasks.spent_usd, tasks.spent_steps,
            tasks.spent_calls, {CLOCKED_SECONDS} AS clocked, tasks.finished_at IS NULL AS lives,
            coalesce(siblings.children, 0) AS children,
            siblings.children IS NOT NULL AND tasks.finished_at IS NULL AND tasks.status = 'waiting'
                AND CASE WHEN tasks.waiting_for ? 'waits' THEN tasks.id = ANY (%(met)s::uuid[])
                    ELSE tasks.waiting_for ->> 'kind' = 'children' AND tasks.children_left <= siblings.children
                END AS joined
        FROM agent_tasks.tasks LEFT JOIN siblings ON siblings.id = tasks.id
            AND siblings.step_number = tasks.step_number
        WHERE tasks.id = ANY (ARRAY(SELECT id FROM sums))
        ORDER BY tasks.id FOR NO KEY UPDATE OF tasks
    ), low AS (
        SELECT locked.id, array_agg(
            jsonb_build_object('resource', resource, 'spent', before + more, 'limit', most) ORDER BY resource
        ) AS warnings
        FROM locked JOIN sums USING (id), LATERAL (VALUES
            ('seconds', budget_seconds::numeric, spent_seconds::numeric, CASE WHEN joined THEN clocked ELSE 0 END),
            ('tokens', budget_tokens, spent_tokens, more_tokens),
            ('usd', budget_usd, spent_usd, more_usd),
            ('steps', budget_steps, spent_steps, more_steps),
            ('calls', budget_calls, spent_calls, more_calls)) AS spend (resource, most, before, more)
        WHERE lives AND before < most * %(part)s::numeric AND before + more >= most * %(part)s::numeric
        GROUP BY locked.id
    ), changed AS (
        UPDATE agent_tasks.tasks SET
            children_left = CASE WHEN lives THEN greatest(0, children_left - children) ELSE children_left END,
            spent_tokens = least(tasks.spent_tokens + more_tokens, 9223372036854775807),
            spent_usd = tasks.spent_usd + more_usd,
            spent_steps = least(tasks.spent_steps + more_steps, 2147483647),
            spent_calls = least(tasks.spent_calls + more_calls, 2147483647),
            reserved_tokens = CASE WHEN lives THEN greatest(0, reserved_tokens - back_tokens) ELSE 0 END,
            reserved_usd = CASE WHEN lives THEN greatest(0, reserved_usd - back_usd) ELSE 0 END,
            reserved_steps = CASE WHEN lives THEN greatest(0, reserved_steps - back_steps) ELSE 0 END,
            reserved_calls = CASE WHEN lives THEN greatest(0, reserved_calls - back_calls) ELSE 0 END,
            version = version + 1,
            event_seq = event_seq + coalesce(cardinality(low.warnings), 0) + 2 * joined::int,
            spent_seconds = tasks.spent_seconds + CASE WHEN joined THEN clocked ELSE 0 END,
            status = CASE WHEN joined THEN 'pending' ELSE status END,
            waiting_for = CASE WHEN joined THEN NULL ELSE waiting_for END,
            waited = CASE WHEN joined THEN waiting_for ELSE waited END,
            pending_since = CASE WHEN joined THEN clock_timestamp() ELSE pending_since END,
            due_at = CASE WHEN joined THEN clock_timestamp() + make_interval(secs => %(ring_seconds)s) ELSE due_at END
        FROM locked JOIN sums USING (id) LEFT JOIN low USING (id)
        WHERE tasks.id = locked.id AND tasks.id = ANY (ARRAY(SELECT id FROM sums))
            AND (lives OR more_tokens + more_usd + more_steps + more_calls > 0 OR NOT ({NOTHING_RESERVED}))
        RETURNING tasks.*, joined, warnings, CASE WHEN NOT lives AND NOT passed AND tasks.parent_id IS NOT NULL
            THEN jsonb_build_object('id', tasks.parent_id, 'more_tokens', more_tokens::text,
                'more_usd', more_usd::text, 'more_steps', more_steps::text, 'more_calls', more_calls::text,
                'back_tokens', back_tokens::text, 'back_usd', back_usd::text, 'back_steps', back_steps::text,
                'back_calls', back_calls::text) END AS passed_on
    ), {written(_JOINED_EVENTS)}
    SELECT {SNAPSHOT}, tasks.on_child_failure, tasks.passed_on FROM changed AS tasks
"""


class _JoinRow(Row):
    on_child_failure: str | None
    passed_on: dict[str, Any] | None


_FAIL_PARENT = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET spent_seconds = spent_seconds + {CLOCKED_SECONDS},
            {COUNTED_ENDING}, {ending("'failed'", "%(error)s::jsonb")}
        WHERE id = %(id)s AND {WILL_END}
        RETURNING *
    ), {ENDING_EVENT}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""

_SIBLING_FAILED = ErrorInfo(
    type=ErrorType.CANCELLED, message="a sibling failed", suggested_action=SuggestedAction.RESUME
)
_PARENT_ENDED = ErrorInfo(type=ErrorType.CANCELLED, message="the parent ended", suggested_action=SuggestedAction.RESUME)


def join(connection: Connection, changed: Sequence[Row], *, ring_seconds: float) -> list[Row]:
    """Join the parents of the tasks in `changed` that have ended; returns the rows changed.

    It belongs in the transaction that ended them. A failed child of a parent that asked for it ends the parent, too. A
    parent that has ended before keeps its state, and its books grow.
    """
    result = cancel_below(connection, left, _PARENT_ENDED) if (left := _with_children(changed)) else list[Row]()
    ended = [row for row in (*changed, *result) if row["finished_at"] is not None]
    while any(row["parent_id"] is not None for row in ended):
        children: dict[UUID | None, list[Row]] = defaultdict(list)
        for row in ended:
            children[row["parent_id"]].append(row)
        met, failing = count_down(connection, ended)
        ids = [row["id"] for rows in children.values() for row in rows]
        ended = list[Row]()
        for parent in _parents_of(connection, ids, met, ring_seconds):
            failed = next((row for row in children[parent["id"]] if _ends(row, parent, failing)), None)
            if failed is None:
                result.append(parent)
                continue
            rows = _fail_parent(connection, parent, failed)
            rows += cancel_below(connection, [parent["id"]], _SIBLING_FAILED)
            result += rows
            ended += [row for row in rows if row["finished_at"] is not None]
    return result


def _with_children(changed: Sequence[Row]) -> list[UUID]:
    """The tasks that ended by themselves in a step that had spawned children; one that was cancelled ended with its
    tree."""
    return [
        row["id"]
        for row in changed
        if row["children_left"] and "was" not in row and (row["finished_at"] or row["ending"]) is not None
    ]


def _ends(child: Row, parent: _JoinRow, failing: Collection[FanOutCall]) -> bool:
    """Whether a child that the parent awaits has failed, and the parent ends with the first that does."""
    if parent["finished_at"] is not None or child["status"] == "completed":
        return False
    if child["parent_call"] is not None:
        return call_of(child) in failing
    return parent["on_child_failure"] == "fail" and child["parent_step"] == parent["step_number"] - 1


def _parents_of(
    connection: Connection, ended: Sequence[UUID], met: Sequence[UUID], ring_seconds: float
) -> list[_JoinRow]:
    """Join those above `ended`; returns their rows. Where one has just ended, the next ones follow."""
    rows: list[_JoinRow] = []
    ids, passed_on = list(ended), list[Any]()
    while ids or passed_on:
        values = {
            "ids": ids,
            "met": list(met),
            "passed_on": json.dumps(passed_on),
            "ring_seconds": ring_seconds,
            "part": WARNING_PART,
        }
        found: list[_JoinRow] = connection.execute(_JOIN, values).fetchall()
        rows += found
        ids, passed_on = [], [row["passed_on"] for row in found if row["passed_on"] is not None]
    return rows


def _fail_parent(connection: Connection, parent: Row, child: Row) -> list[Row]:
    cause: dict[str, Any] = child["error"] or {}
    if child["sensitive"]:  # the parent may not be, and then is mirrored and shown
        cause = {"type": cause.get("type"), "message": "not shown: the agent is sensitive"}
    error = ErrorInfo(
        type=ErrorType.PARTIAL_COMPLETION,
        message=f"Child {child['agent']} ended as {child['status']}: {cause.get('message', '')}"[:4000],
        details={"child": str(child["id"]), "status": child["status"], "cause": cause},
        suggested_action=SuggestedAction.RESUME,
    )
    values = {
        "id": parent["id"],
        "event_data": json.dumps({"child": str(child["id"])}),
        "error": json.dumps(error.model_dump(mode="json")),
    }
    rows: list[Row] = connection.execute(_FAIL_PARENT, values).fetchall()
    return [{**row, "was": parent["status"]} for row in rows]  # its step may run, and is to be stopped

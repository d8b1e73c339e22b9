"""running → pending, or to the end that was decided: an undo function has run, or was given up."""

import json
from dataclasses import dataclass
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.errors import ErrorInfo
from agent_tasks.store.database import Connection
from agent_tasks.store.history import written
from agent_tasks.store.rows import CLEARED, LET_GO, OWNED, SNAPSHOT, Row
from agent_tasks.transitions.fence import lost

_UNDONE_EVENTS: LiteralString = """
        SELECT id, event_seq - 1, %(event)s, %(report)s::jsonb FROM changed
        UNION ALL
        SELECT id, event_seq, CASE WHEN finished_at IS NULL THEN 'dispatched' ELSE 'finished' END,
            jsonb_build_object('step', step, 'status', status) FROM changed
"""

# `ending` carries the decided end, and what was and was not undone. step_number stays: history is not rewritten.
_UNDONE = f"""
    WITH following AS (
        SELECT step_number, step FROM agent_tasks.checkpoints
        WHERE task_id = %(id)s AND undo AND step_number < (SELECT undo_step FROM agent_tasks.tasks WHERE id = %(id)s)
        ORDER BY step_number DESC LIMIT 1
    ), progressed AS (
        SELECT tasks.id, jsonb_set(tasks.ending, ARRAY[%(list)s],
            (tasks.ending -> %(list)s) || jsonb_build_array(%(report)s::jsonb)) AS ending
        FROM agent_tasks.tasks WHERE {OWNED}
    ), changed AS (
        UPDATE agent_tasks.tasks SET
            ending = progressed.ending,
            status = CASE WHEN following IS NULL THEN progressed.ending ->> 'status' ELSE 'pending' END,
            step = CASE WHEN following IS NULL THEN tasks.step ELSE 'undo:' || following.step END,
            undo_step = CASE WHEN following IS NULL THEN undo_step ELSE following.step_number END,
            error = CASE WHEN following IS NULL THEN
                (progressed.ending -> 'error') || jsonb_build_object('details',
                    coalesce(progressed.ending -> 'error' -> 'details', '{{}}'::jsonb) || jsonb_build_object(
                        'undone', progressed.ending -> 'undone', 'not_undone', progressed.ending -> 'not_undone'))
                END,
            result = CASE WHEN following IS NULL THEN nullif(progressed.ending -> 'result', 'null'::jsonb) END,
            attempt = 0, uncounted = 0, {CLEARED}, rings = 0, worker = NULL,
            pending_since = clock_timestamp(),
            due_at = CASE WHEN following IS NULL THEN NULL
                ELSE clock_timestamp() + make_interval(secs => %(ring_seconds)s) END,
            finished_at = CASE WHEN following IS NULL THEN clock_timestamp() END,
            {LET_GO.format(ends="following IS NULL AND tasks.parent_id IS NULL")},
            version = version + 1, event_seq = event_seq + 2
        FROM progressed LEFT JOIN following ON true
        WHERE tasks.id = progressed.id AND {OWNED}
        RETURNING tasks.*
    ), {written(_UNDONE_EVENTS)}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


class UndoingRow(TypedDict):
    """The columns of a task that `Undoing` is made of."""

    id: UUID
    run: int
    step_number: int
    step: str
    undo_step: int | None


@dataclass(frozen=True, slots=True)
class Undoing:
    """An undo under way: the fence, the undo step's name, and the number of the step that it undoes."""

    id: UUID
    run: int
    step_number: int
    step: str
    undo_step: int

    @classmethod
    def from_row(cls, row: UndoingRow) -> "Undoing":
        undo_step = row["undo_step"]
        assert undo_step is not None
        return cls(row["id"], row["run"], row["step_number"], row["step"], undo_step)


def undone(connection: Connection, undoing: Undoing, *, failure: ErrorInfo | None, ring_seconds: float) -> Row:
    """Note that the undo function of a step has run, or, with `failure`, was given up; the one before it is next.

    Raises LeaseLost.
    """
    report: dict[str, object] = {"step": undoing.step.removeprefix("undo:"), "step_number": undoing.undo_step}
    if failure is not None:
        report["error"] = failure.message
    row: Row | None = connection.execute(
        _UNDONE,
        {
            "id": undoing.id,
            "run": undoing.run,
            "step_number": undoing.step_number,
            "list": "undone" if failure is None else "not_undone",
            "event": "undone" if failure is None else "not_undone",
            "report": json.dumps(report),
            "ring_seconds": ring_seconds,
        },
    ).fetchone()
    if row is None:
        raise lost(undoing)
    return row

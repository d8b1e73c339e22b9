"""terminal → a new task: it goes on from a checkpoint of the old one, with the calls recorded since."""

from typing import Any, LiteralString, TypedDict
from uuid import UUID

import uuid_utils.compat as uuid_utils

from agent_tasks.errors import InvalidState
from agent_tasks.store.database import Connection
from agent_tasks.store.history import written
from agent_tasks.store.queries.children import joined_children
from agent_tasks.store.rows import SNAPSHOT, Row
from agent_tasks.task.allotment import Claimant, divide
from agent_tasks.task.arguments import TASK_SIGNALS
from agent_tasks.task.budget import RESOURCES, Budget, exact, remaining
from agent_tasks.task.snapshot import budget_of, spend_of
from agent_tasks.task.trace import span_of
from agent_tasks.transitions.fan_out import patience, reserved
from agent_tasks.transitions.signal import deliver, id_of
from agent_tasks.transitions.submit import Kin

# What a step has called and charged is kept with it, also that of steps before the one that goes on: a later fork may
# go back to them. Not what was undone: that is done again. (The ledger of an undo has negative numbers.)
_KEPT: LiteralString = """
    {0}.step_number >= 0 AND NOT coalesce(old.ending -> 'undone', '[]'::jsonb)
        @> jsonb_build_array(jsonb_build_object('step_number', {0}.step_number))
"""

# Until the commit no purge may take what the new task goes on from: the old one, and those before it, whose trees have
# the children that had completed.
_LOCK = """
    WITH RECURSIVE chain AS (
        SELECT id, resumed_from, root_id FROM agent_tasks.tasks WHERE id = %(old)s
        UNION SELECT tasks.id, tasks.resumed_from, tasks.root_id FROM agent_tasks.tasks
            JOIN chain ON tasks.id = chain.resumed_from
    )
    SELECT id, error #> '{details,not_undone}' AS not_undone FROM agent_tasks.tasks
    WHERE id = ANY (ARRAY(SELECT id FROM chain UNION SELECT root_id FROM chain)) ORDER BY id FOR KEY SHARE
"""


# A child that a step had spawned itself goes on when the step comes to it again.
_CALLED = """
    SELECT child.id, child.finished_at IS NOT NULL AS has_ended, child.error #> '{details,not_undone}' AS not_undone
    FROM agent_tasks.tasks AS child JOIN agent_tasks.calls ON calls.task_id = child.parent_id
        AND calls.step_number = child.parent_step AND calls.ordinal = child.parent_call AND calls.status = 'started'
    WHERE child.parent_id = %(old)s AND child.parent_call IS NOT NULL AND child.status <> 'completed'
"""


class _CalledRow(TypedDict):
    id: UUID
    has_ended: bool
    not_undone: list[dict[str, Any]] | None


class _LockedRow(TypedDict):
    id: UUID
    not_undone: list[dict[str, Any]] | None


_RESUMED_EVENTS: LiteralString = """
        SELECT id, 1, 'resumed', jsonb_build_object('from', resumed_from, 'step', step, 'step_number', step_number)
        FROM copied
        UNION ALL
        SELECT id, 2, CASE status WHEN 'waiting' THEN 'waiting' ELSE 'dispatched' END,
            jsonb_build_object('step', step, 'queue', queue, 'kind', waiting_for -> 'kind') FROM copied
"""

# Whether what a step was answered is the new task's as well, as its calls are. One that goes back to before a wait
# waits anew, and makes hooks of its own: two forks may wait at once, and an answer is for one of them. What lost a race
# against such a wait may win now. How a Celery task ended is no answer: that it was sent is recorded.
_ANSWERED: LiteralString = """
    ({0} < copied.step_number OR {0} = copied.step_number AND (point.at_end OR NOT %(is_named)s))
"""

# A fork of a task that has ended with its result undoes only what it does itself.
# A task that a step of its own ended as partial goes on with that step. Where the old task was left waiting and
# the wait was never over, the new one waits again; at a join it waits for those children that had not completed.
_RESUME = f"""
    WITH old AS (
        SELECT tasks.*, tasks.status = 'completed' OR (tasks.status = 'partial' AND %(is_named)s)
                AS is_forked,
            coalesce(%(from_step)s, tasks.undo_step, ended_by.step_number, tasks.step_number) AS number
        FROM agent_tasks.tasks
            LEFT JOIN agent_tasks.checkpoints AS ended_by ON ended_by.task_id = tasks.id
                AND ended_by.step_number = tasks.step_number - 1 AND ended_by.next_step IS NULL
        WHERE id = %(old)s AND finished_at IS NOT NULL
    ), point AS (
        SELECT old.id, old.number, old.number = old.step_number AND old.undo_step IS NULL AS at_end,
            CASE WHEN old.number = old.step_number AND old.undo_step IS NULL THEN old.step
                 WHEN old.number = 0 THEN first.step ELSE before.next_step END AS step,
            CASE WHEN before.awaits ->> 'kind' = 'children'
                    OR (old.number = old.step_number AND old.undo_step IS NULL AND old.attempt + old.uncounted = 0
                        AND old.step = before.next_step AND NOT EXISTS (
                            SELECT FROM agent_tasks.signals WHERE task_id = old.id
                                AND consumed_step = old.number AND consumed_call IS NULL OFFSET 0))
                THEN before.awaits END AS awaits
        FROM old
            LEFT JOIN agent_tasks.checkpoints AS before ON before.task_id = old.id
                AND before.step_number = old.number - 1
            LEFT JOIN agent_tasks.checkpoints AS first ON first.task_id = old.id AND first.step_number = 0
        WHERE old.number = 0 OR before.next_step IS NOT NULL
    ), copied AS (
        INSERT INTO agent_tasks.tasks (
            id, agent, status, step, step_number, queue, priority, root_id, lineage_id, resumed_from, parent_id,
            parent_step, parent_call, child_index, depth, tenant, identity, session_id, metadata, callback_url,
            traceparent, parent_span, sensitive, ttl_seconds, retention_seconds, input, partial, remaining, progress,
            budget_seconds, budget_tokens, budget_usd, budget_steps, budget_calls, on_child_failure, undoable,
            waiting_for, event_seq, due_at)
        SELECT %(id)s, agent, CASE WHEN point.awaits IS NULL THEN 'pending' ELSE 'waiting' END, point.step,
            point.number, queue, priority, coalesce(%(root_id)s, %(id)s),
            CASE WHEN undo_step IS NULL THEN lineage_id ELSE %(id)s END, old.id, %(parent_id)s,
            %(parent_step)s, %(parent_call)s, child_index, %(depth)s, tenant, identity, session_id, metadata,
            coalesce(%(callback_url)s, callback_url), left(traceparent, 36) || %(span)s || right(traceparent, 3),
            substr(traceparent, 37, 16), sensitive, ttl_seconds, retention_seconds,
            CASE WHEN point.number = 0 THEN coalesce(%(state)s::jsonb, input) ELSE input END, partial,
            CASE WHEN old.status <> 'completed' THEN remaining END, progress, %(seconds)s, %(tokens)s, %(usd)s,
            %(steps)s, %(calls)s, on_child_failure,
            CASE WHEN old.is_forked THEN 0 ELSE (
                SELECT count(*) FROM agent_tasks.checkpoints WHERE task_id = old.id AND undo
                    AND step_number < point.number) END,
            point.awaits || jsonb_build_object('since', clock_timestamp(), 'until', coalesce(point.awaits -> 'until',
                to_jsonb(clock_timestamp() + make_interval(secs => (point.awaits ->> 'timeout')::float8)))),
            2,
            CASE WHEN point.awaits IS NULL THEN clock_timestamp() + make_interval(secs => %(ring_seconds)s)
                ELSE coalesce((point.awaits ->> 'until')::timestamptz,
                    clock_timestamp() + make_interval(secs => (point.awaits ->> 'timeout')::float8)) END
        FROM old JOIN point USING (id)
        RETURNING *
    ), checkpoints_copied AS (
        INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, run, seconds, committed_at,
            awaits, undo)
        SELECT %(id)s, c.step_number, c.step, c.next_step,
            CASE WHEN c.step_number = copied.step_number - 1 THEN coalesce(%(state)s::jsonb, c.state) ELSE c.state END,
            0, c.seconds, c.committed_at, c.awaits, c.undo AND NOT old.is_forked
        FROM agent_tasks.checkpoints AS c JOIN copied ON c.task_id = %(old)s AND c.step_number < copied.step_number, old
    ), anew AS (
        SELECT c.step_number, c.ordinal FROM agent_tasks.calls AS c JOIN copied ON c.task_id = %(old)s, point
        WHERE c.wait IS NOT NULL AND NOT coalesce(starts_with(c.wait -> 'names' ->> 0, '{TASK_SIGNALS}'), false)
            AND NOT {_ANSWERED.format("c.step_number")}
    ), calls_copied AS (
        INSERT INTO agent_tasks.calls (task_id, step_number, ordinal, branch, name, digest, place, key, status,
            at_most_once,
            idempotency_key, outcome, run, attempts, begun, births, ended, replay, wait, started_at, finished_at)
        SELECT %(id)s, c.step_number, c.ordinal, c.branch, c.name, c.digest, c.place, c.key,
            CASE WHEN is_anew THEN 'started' ELSE c.status END, c.at_most_once, c.idempotency_key,
            CASE WHEN NOT is_anew THEN c.outcome END, 0, c.attempts, c.begun, c.births,
            CASE WHEN NOT is_anew THEN c.ended END,
            CASE WHEN is_anew THEN NULL WHEN c.status = 'cancelled' AND c.step_number IN (SELECT step_number FROM anew)
                THEN 'again' ELSE c.replay END,
            CASE WHEN NOT is_anew THEN c.wait END, c.started_at, CASE WHEN NOT is_anew THEN c.finished_at END
        FROM agent_tasks.calls AS c JOIN copied ON c.task_id = %(old)s JOIN old ON {_KEPT.format("c")}
            LEFT JOIN anew ON anew.step_number = c.step_number AND anew.ordinal = c.ordinal,
            LATERAL (SELECT anew.ordinal IS NOT NULL AS is_anew) AS told
    ), charges_copied AS (
        INSERT INTO agent_tasks.charges (
            task_id, step_number, fingerprint, branch, ended, tokens, usd, spent_tokens, spent_usd, run, charged_at)
        SELECT %(id)s, c.step_number, c.fingerprint, c.branch, c.ended, c.tokens, c.usd, c.spent_tokens, c.spent_usd, 0,
            c.charged_at
        FROM agent_tasks.charges AS c JOIN copied ON c.task_id = %(old)s JOIN old ON {_KEPT.format("c")}
    ), signals_copied AS (
        INSERT INTO agent_tasks.signals (task_id, name, payload, signal_id, sender, sent_at, consumed_step,
            consumed_call, wait_id, receipt)
        SELECT %(id)s, s.name, s.payload, s.signal_id, s.sender, s.sent_at, s.consumed_step, s.consumed_call,
            s.wait_id, s.receipt
        FROM agent_tasks.signals AS s JOIN copied ON s.task_id = %(old)s, point
        WHERE CASE WHEN s.consumed_step IS NOT NULL
            THEN s.consumed_step = copied.step_number
                AND (s.consumed_call IS NULL OR {_ANSWERED.format("s.consumed_step")})
            ELSE s.wait_id IS NULL OR s.wait_id = {id_of("copied.waiting_for", "s.name")} OR NOT EXISTS (
                SELECT FROM agent_tasks.checkpoints
                WHERE task_id = %(old)s AND s.wait_id = {id_of("awaits", "s.name")}
            ) AND NOT EXISTS (
                SELECT FROM agent_tasks.calls AS c
                WHERE c.task_id = %(old)s AND c.wait -> 'wait_ids' ->> s.name = s.wait_id
                    AND (c.status <> 'started' OR NOT {_ANSWERED.format("c.step_number")}))
            END
        ORDER BY s.seq
    ), hooks_copied AS (
        INSERT INTO agent_tasks.hooks (task_id, step_number, fingerprint, url, made_by, run)
        SELECT %(id)s, h.step_number, h.fingerprint, h.url, h.made_by, 0
        FROM agent_tasks.hooks AS h JOIN copied ON h.task_id = %(old)s
            JOIN old ON old.lineage_id = copied.lineage_id AND {_KEPT.format("h")}, point
        WHERE {_ANSWERED.format("h.step_number")}
    ), {written(_RESUMED_EVENTS)}
    SELECT {SNAPSHOT} FROM copied AS tasks
"""

_AWAIT_CHILDREN = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET children_left = %(children)s,
            reserved_tokens = %(tokens)s, reserved_usd = %(usd)s, reserved_steps = %(steps)s,
            reserved_calls = %(calls)s, status = CASE WHEN %(children)s = 0 THEN 'pending' ELSE 'waiting' END,
            waiting_for = CASE WHEN %(children)s = 0 THEN NULL
                ELSE waiting_for || jsonb_build_object('until', clock_timestamp() + make_interval(secs => %(patience)s))
                END,
            due_at = CASE WHEN %(children)s = 0 THEN clock_timestamp() + make_interval(secs => %(ring_seconds)s)
                ELSE clock_timestamp() + make_interval(secs => %(patience)s) END
        WHERE id = %(id)s
        RETURNING *
    )
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def resume(
    connection: Connection,
    old: UUID,
    *,
    budget: Budget,
    ring_seconds: float,
    from_step: int | None = None,
    state: str | None = None,
    callback_url: str | None = None,
    kin: Kin | None = None,
    repeats_not_undone: bool = False,
) -> list[Row]:
    """Accept a continuation of `old`, which stays as it is; within a transaction. `callback_url`: in place of the old.
    `state`: the arguments of the step `from_step` as JSON, in place of those that were recorded.

    Returns the new task first, then the children that go on under it: those that had completed are not run
    again. Raises InvalidState where `old` has not ended, or has no step `from_step` to go on from, or where steps could
    not be undone and the step to go on from is not named (of a child: `repeats_not_undone`).
    """
    repeats_not_undone = repeats_not_undone or from_step is not None
    locked: list[_LockedRow] = connection.execute(_LOCK, {"old": old}).fetchall()
    not_undone = next((row["not_undone"] for row in locked if row["id"] == old), None)
    if not_undone and not repeats_not_undone:
        raise _not_undone(old, not_undone)
    _check_called(connection, old, repeats_not_undone=repeats_not_undone)
    new = uuid_utils.uuid7()
    row: Row | None = connection.execute(
        _RESUME,
        {
            "old": old,
            "id": new,
            "span": span_of(new),
            "from_step": from_step,
            "is_named": from_step is not None,
            "state": state,
            "callback_url": callback_url,
            "ring_seconds": ring_seconds,
            "parent_id": kin.parent_id if kin else None,
            "root_id": kin.root_id if kin else None,
            "parent_step": kin.parent_step if kin else None,
            "parent_call": kin.parent_call if kin else None,
            "depth": kin.depth if kin else 0,
            **{name: getattr(budget, name) for name in RESOURCES},
            "usd": exact(budget.usd),
        },
    ).fetchone()
    if row is None:
        raise InvalidState(
            f"Task {old} cannot be resumed"
            + (
                f" from step {from_step}: it has no such checkpoint."
                if from_step is not None
                else ": it has not ended."
            ),
            task_id=str(old),
            from_step=from_step,
        )
    waits = row["waiting_for"]
    if waits is not None and waits["kind"] == "children":
        reserve: float = waits.get("reserve") or 0.0
        return _with_children(connection, row, reserve, ring_seconds, repeats_not_undone=repeats_not_undone)
    # a signal that the old task got after its wait had run out is what this one waits for
    return [deliver(connection, new, ring_seconds=ring_seconds) or row]


def _check_called(connection: Connection, old: UUID, *, repeats_not_undone: bool) -> None:
    """Raise InvalidState where a child that a step of `old` still awaited could not be resumed."""
    called: list[_CalledRow] = connection.execute(_CALLED, {"old": old}).fetchall()
    for child in called:
        if not child["has_ended"]:
            raise InvalidState(
                f"Task {old} cannot be resumed yet: its child {child['id']} has not ended.",
                task_id=str(old),
                child=str(child["id"]),
            )
        if child["not_undone"] and not repeats_not_undone:
            raise _not_undone(child["id"], child["not_undone"])


def _not_undone(old: UUID, steps: list[dict[str, Any]]) -> InvalidState:
    named = ", ".join(f"{step['step']} (step {step['step_number']})" for step in steps)
    return InvalidState(
        f"Task {old} cannot be resumed as it is: {named} could not be undone, and might be done again. Find out what "
        "is left of that outside, then name the step number to go on from (from_step). Recorded calls that were not "
        "undone are not made again.",
        task_id=str(old),
        not_undone=steps,
    )


def _with_children(
    connection: Connection, row: Row, reserve: float, ring_seconds: float, *, repeats_not_undone: bool
) -> list[Row]:
    unfinished = [c for c in joined_children(connection, row["id"], row["step_number"]) if c["status"] != "completed"]
    left = remaining(budget_of(row), spend_of(row))
    shares = divide(left, Budget(seconds=reserve or None), [Claimant(asks=budget_of(c)) for c in unfinished])
    kin = Kin(row["id"], row["root_id"], row["step_number"] - 1, row["depth"] + 1)
    children: list[Row] = []
    for child, share in zip(unfinished, shares, strict=True):
        children += resume(
            connection,
            child["id"],
            budget=share.budget,
            ring_seconds=ring_seconds,
            kin=kin,
            repeats_not_undone=repeats_not_undone,
        )
    parent: Row | None = connection.execute(
        _AWAIT_CHILDREN,
        {
            "id": row["id"],
            "children": len(unfinished),
            "patience": patience(left.seconds, reserve),
            "ring_seconds": ring_seconds,
            **reserved([share.budget for share in shares]),
        },
    ).fetchone()
    assert parent is not None
    return [parent, *children]

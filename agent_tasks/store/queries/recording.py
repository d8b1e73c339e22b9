"""No arrow: all that was recorded of a task, so that it can be replayed elsewhere."""

from collections.abc import Mapping
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection

_LISTED: LiteralString = """
    coalesce((SELECT jsonb_agg(to_jsonb(one) ORDER BY {order}) FROM (
        SELECT {columns} FROM agent_tasks.{table} WHERE {table}.task_id = task.id) AS one), '[]') AS {table}
"""
_COLUMNS: Mapping[LiteralString, tuple[LiteralString, LiteralString]] = {
    "checkpoints": (
        """step_number, step, next_step, state, awaits, run, seconds, (
            SELECT max((data ->> 'attempt')::int) FROM agent_tasks.events WHERE events.task_id = checkpoints.task_id
                AND type = 'claimed' AND (data ->> 'step_number')::int = checkpoints.step_number) AS attempt""",
        "step_number",
    ),
    "calls": (
        """step_number, ordinal, branch, name, coalesce(digest, '') AS digest, coalesce(place, 0) AS place, key,
        idempotency_key, at_most_once, coalesce(begun, 0) AS begun, coalesce(births, '{}') AS births, status, outcome,
        status = 'cancelled' AND outcome IS NOT NULL AS is_late, ended, replay, run, attempts, wait, tokens, usd,
        coalesce(extract(epoch FROM finished_at - started_at), 0) AS seconds""",
        "step_number, ordinal",
    ),
    "charges": (
        "step_number, fingerprint, branch, ended, tokens, usd, spent_tokens, spent_usd, run",
        "step_number, ended",
    ),
    "signals": (
        "seq, name, payload, signal_id, sender, sent_at, consumed_step, consumed_call, wait_id",
        "seq",
    ),
    "hooks": ("step_number, fingerprint, url", "step_number"),
}

_RECORDING = f"""
    SELECT to_jsonb(task) AS task,
        {", ".join(_LISTED.format(table=table, columns=columns, order=order)
                   for table, (columns, order) in _COLUMNS.items())}
    FROM (SELECT id, agent, status, step, step_number, attempt, run, lineage_id, resumed_from, undo_step, input, result,
        error, traceback, waiting_for, identity, session_id, metadata, traceparent, sensitive, created_at, started_at,
        finished_at, budget_seconds, budget_tokens, budget_usd, budget_steps, budget_calls
        FROM agent_tasks.tasks WHERE tasks.id = %(id)s) AS task
"""  # fmt: skip


class RecordingRow(TypedDict):
    """What was recorded of a task, each row as JSON."""

    task: dict[str, Any]
    checkpoints: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    charges: list[dict[str, Any]]
    signals: list[dict[str, Any]]
    hooks: list[dict[str, Any]]


def recording(connection: Connection, task_id: UUID) -> RecordingRow | None:
    """What was recorded of a task, as of one moment; None where there is no such task."""
    return connection.execute(_RECORDING, {"id": task_id}).fetchone()

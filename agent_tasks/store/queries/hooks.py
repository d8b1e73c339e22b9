"""What hooks ask of the tasks that they speak to: which one lives, and what has answered it."""

from datetime import datetime
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import SNAPSHOT, Row
from agent_tasks.task.hook_token import HookToken

_SPOKEN_TO: LiteralString = """
    ARRAY(SELECT task_id FROM agent_tasks.hooks WHERE made_by = %(task)s AND step_number = %(step)s)
"""
"""The task that made a hook, and those that continue it."""

_LIVES: LiteralString = "tasks.finished_at IS NULL AND tasks.ending IS NULL"

_TARGET = f"""
    SELECT {SNAPSHOT}, clock_timestamp() AS now, count(*) FILTER (WHERE {_LIVES}) OVER () AS living
    FROM agent_tasks.tasks WHERE id = ANY ({_SPOKEN_TO})
    ORDER BY ({_LIVES}) DESC, created_at DESC, id DESC LIMIT 1
"""

_USED_AT = """
    SELECT min(sent_at) AS at FROM agent_tasks.signals
    WHERE task_id = %(id)s AND name = %(name)s AND wait_id = %(wait_id)s AND consumed_step IS DISTINCT FROM -1
"""

_KEPT = """
    SELECT count(*) AS number FROM agent_tasks.signals
    WHERE task_id = %(id)s AND name = %(name)s AND consumed_step IS NULL AND starts_with(signal_id, 'hook-')
"""

_FIRST_ANSWER = f"""
    SELECT receipt FROM agent_tasks.signals
    WHERE signal_id = %(signal_id)s AND task_id = ANY ({_SPOKEN_TO}) AND receipt IS NOT NULL
    ORDER BY seq DESC LIMIT 1
"""


# A hook that may be used often is for each wait of its signal, else for the one with its id.
_WITHIN = """
    SELECT status = 'started' AS is_open, wait FROM agent_tasks.calls
    WHERE task_id = %(id)s AND step_number = %(step)s
        AND CASE WHEN %(once)s THEN wait -> 'wait_ids' ->> %(name)s = %(wait_id)s ELSE wait -> 'wait_ids' ? %(name)s END
    ORDER BY status = 'started' DESC, ordinal LIMIT 1
"""


class WithinRow(TypedDict):
    """A wait within a step, as the ledger keeps it, and whether the step is in it."""

    is_open: bool
    wait: dict[str, Any]


class TargetRow(Row):
    """A task's row, the time by the database's clock, and how many tasks live to which the hook might speak."""

    now: datetime
    living: int


def target(connection: Connection, token: HookToken) -> TargetRow | None:
    """Return the task that a hook speaks to: one that lives before one that has ended; None if all are purged."""
    return connection.execute(_TARGET, {"task": token.task_id, "step": token.step_number}).fetchone()


def used_at(connection: Connection, task_id: UUID, name: str, wait_id: str) -> datetime | None:
    """Return when this wait was answered by a signal of this name that named it, and was not refused; None if never."""
    row = connection.execute(_USED_AT, {"id": task_id, "name": name, "wait_id": wait_id}).fetchone()
    return row["at"] if row else None


def wait_within(connection: Connection, task_id: UUID, step_number: int, token: HookToken) -> WithinRow | None:
    """Return the wait of a hook within this step, rather one that is open; None where the step had come to none."""
    own = {"name": token.signal, "wait_id": token.wait_id, "once": token.once}
    return connection.execute(_WITHIN, {"id": task_id, "step": step_number, **own}).fetchone()


def kept(connection: Connection, task_id: UUID, name: str) -> int:
    """Return how many signals of this name have come by hooks, and are still in the task's inbox."""
    row = connection.execute(_KEPT, {"id": task_id, "name": name}).fetchone()
    return row["number"] if row else 0


def first_answer(connection: Connection, token: HookToken, signal_id: str) -> dict[str, Any] | None:
    """Return the kept receipt of this signal, to whichever task the hook spoke; None if it was not sent."""
    values = {"task": token.task_id, "step": token.step_number, "signal_id": signal_id}
    row = connection.execute(_FIRST_ANSWER, values).fetchone()
    return row["receipt"] if row else None

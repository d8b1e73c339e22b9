"""No arrow: keeping log records of steps with their tasks, the newest of each, and reading them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import few

_KEEP = f"""
    INSERT INTO agent_tasks.logs (task_id, at, level, logger, message, step, step_number, run)
    SELECT given.* FROM jsonb_to_recordset(%(records)s::jsonb) AS given (
        task_id uuid, at timestamptz, level text, logger text, message text, step text, step_number integer,
        run integer)
    WHERE {few("given.run")} AND EXISTS (
        SELECT FROM agent_tasks.tasks WHERE tasks.id = given.task_id FOR KEY SHARE OFFSET 0)
"""

_TRIM = """
    DELETE FROM agent_tasks.logs USING unnest(%(ids)s::uuid[]) AS of (task_id)
    WHERE logs.task_id = of.task_id AND logs.seq <= (
        SELECT seq FROM agent_tasks.logs AS newer WHERE newer.task_id = of.task_id
        ORDER BY seq DESC OFFSET %(most)s LIMIT 1)
"""

_READ = """
    SELECT seq, at, level, logger, message, step, step_number, run FROM agent_tasks.logs
    WHERE task_id = %(id)s AND seq > %(after)s ORDER BY seq LIMIT %(limit)s
"""


class LogRow(TypedDict):
    """A log record of a step."""

    seq: int
    at: datetime
    level: str
    logger: str
    message: str
    step: str
    step_number: int
    run: int


class NewLog(TypedDict):
    """A record to be kept; `at` is ISO text."""

    task_id: str
    at: str
    level: str
    logger: str
    message: str
    step: str
    step_number: int
    run: int


def keep(connection: Connection, records: Sequence[NewLog], *, most: int) -> None:
    """Keep these records, in their order, of tasks that are there, and of each task the newest `most`."""
    connection.execute(_KEEP, {"records": json.dumps(records)})
    ids = sorted({record["task_id"] for record in records})
    connection.execute(_TRIM, {"ids": ids, "most": most})


def read(connection: Connection, task_id: UUID, *, after: int, limit: int) -> list[LogRow]:
    """Return the records of a task after this number, the oldest first."""
    return connection.execute(_READ, {"id": task_id, "after": after, "limit": limit}).fetchall()

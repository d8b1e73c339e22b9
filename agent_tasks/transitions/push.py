"""No arrow: whom A2A's clients want to be told of a task, and with what they know that it is us."""

from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection

MOST = 10
"""Addresses of one task."""

# (How many there are is looked at under the lock of the task: none is added beside another.)
_PUT = """
    WITH task AS (
        SELECT id FROM agent_tasks.tasks WHERE id = %(task_id)s FOR NO KEY UPDATE
    )
    INSERT INTO agent_tasks.a2a_pushes (task_id, id, url, token, scheme, credentials)
    SELECT task.id, %(id)s, %(url)s, %(token)s, %(scheme)s, %(credentials)s FROM task
    WHERE (SELECT count(*) FROM agent_tasks.a2a_pushes AS others
        WHERE others.task_id = %(task_id)s AND others.id <> %(id)s) < %(most)s
    ON CONFLICT (task_id, id) DO UPDATE SET url = excluded.url, token = excluded.token, scheme = excluded.scheme,
        credentials = excluded.credentials
    RETURNING id
"""
_REMOVE = """
    WITH removed AS (
        DELETE FROM agent_tasks.a2a_pushes WHERE task_id = %(task_id)s AND id = %(id)s RETURNING id
    ), dropped AS (
        UPDATE agent_tasks.deliveries SET status = 'dropped', due_at = NULL, ended_at = clock_timestamp()
        FROM removed WHERE task_id = %(task_id)s AND push_id = removed.id AND ended_at IS NULL
    )
    SELECT id FROM removed
"""
_ALL = """
    SELECT id, url, token, scheme, credentials FROM agent_tasks.a2a_pushes WHERE task_id = %s ORDER BY id
"""


class PushRow(TypedDict):
    """An address that is told of a task."""

    id: str
    url: str
    token: str | None
    scheme: str | None
    credentials: str | None


def put(connection: Connection, task_id: UUID, push: PushRow) -> bool:
    """Keep an address of a task, or change the one of this id; False where the task has as many as it may."""
    values = {**push, "task_id": task_id, "most": MOST}
    return connection.execute(_PUT, values).fetchone() is not None


def remove(connection: Connection, task_id: UUID, id: str) -> bool:
    """Remove an address, and drop what is still to be sent there; False where there is none of this id."""
    return connection.execute(_REMOVE, {"task_id": task_id, "id": id}).fetchone() is not None


def pushes(connection: Connection, task_id: UUID) -> list[PushRow]:
    """The addresses that are told of a task, by their ids."""
    return connection.execute(_ALL, [task_id]).fetchall()

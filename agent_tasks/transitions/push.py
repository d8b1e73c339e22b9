"""No arrow: whom A2A's clients want to be told of a task, and with what they know that it is us."""

from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection

MOST = 10
"""Addresses of one task."""

_LOCK = "SELECT id FROM agent_tasks.tasks WHERE id = %s FOR NO KEY UPDATE"
_PUT = """
    INSERT INTO agent_tasks.a2a_pushes (task_id, id, url, token, scheme, credentials)
    SELECT %(task_id)s, %(id)s, %(url)s, %(token)s, %(scheme)s, %(credentials)s
    WHERE (SELECT count(*) FROM agent_tasks.a2a_pushes AS others
        WHERE others.task_id = %(task_id)s AND others.id <> %(id)s) < %(most)s
    ON CONFLICT (task_id, id) DO UPDATE SET url = excluded.url, token = excluded.token, scheme = excluded.scheme,
        credentials = excluded.credentials
    RETURNING id
"""
_REMOVE = "DELETE FROM agent_tasks.a2a_pushes WHERE task_id = %(task_id)s AND id = %(id)s RETURNING id"
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
    """Keep an address of a task, or change the one of this id; False where the task has as many as it may.

    Within a transaction: under the lock of the task, so that none is added beside another.
    """
    connection.execute(_LOCK, [task_id])
    values = {**push, "task_id": task_id, "most": MOST}
    return connection.execute(_PUT, values).fetchone() is not None


def remove(connection: Connection, task_id: UUID, id: str) -> bool:
    """Remove an address; False where there is none of this id. What is still to be sent there is dropped when due."""
    return connection.execute(_REMOVE, {"task_id": task_id, "id": id}).fetchone() is not None


def pushes(connection: Connection, task_id: UUID) -> list[PushRow]:
    """The addresses that are told of a task, by their ids."""
    return connection.execute(_ALL, [task_id]).fetchall()

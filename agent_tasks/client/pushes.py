"""Addresses that are told of a task by A2A's push notifications: checking, keeping and removing them."""

import re
from uuid import UUID

from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput
from agent_tasks.store.database import Connection
from agent_tasks.task.arguments import check_text, refused
from agent_tasks.task.identity import Identity
from agent_tasks.task.target_url import check_target_url
from agent_tasks.transitions import audit, push
from agent_tasks.transitions.push import MOST, PushRow

PUT, REMOVE = "put_push", "remove_push"
"""What the audit calls them."""
_LONGEST = 4096
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


def check_push(deployment: Deployment, push: PushRow) -> PushRow:
    """Return an address that can be kept. Raises InvalidInput that names what is wrong with it."""
    check_text(push["id"], "id", 255)
    check_target_url(push["url"], "url", deployment.settings.webhook_allow)
    for name in ("token", "credentials"):
        value = push[name]
        if value is not None:
            check_text(value, name, _LONGEST, printable=True)
            if not value.isascii():
                raise InvalidInput(f"{name} must have ASCII characters only: it is sent in a header.", field=name)
    if push["scheme"] is not None and not _SCHEME.fullmatch(push["scheme"]):
        raise refused("authentication.scheme must be the name of a scheme, such as Bearer", push["scheme"], "scheme")
    return push


def keep(connection: Connection, task_id: UUID, given: PushRow, identity: Identity | None) -> None:
    """Keep an address of a task, or change the one of its id. Raises InvalidInput where the task has too many."""
    if not push.put(connection, task_id, given):
        raise InvalidInput(f"Task {task_id} has {MOST} addresses that are told of it: remove one first.", field="id")
    audit.write(connection, PUT, identity, task_id=task_id, target=given["id"])


def put_push(deployment: Deployment, task_id: UUID, given: PushRow, identity: Identity | None) -> None:
    """Keep an address in a transaction of its own."""
    with deployment.database.connection() as connection, connection.transaction():
        keep(connection, task_id, given, identity)


def remove_push(deployment: Deployment, task_id: UUID, id: str, identity: Identity | None) -> bool:
    """Remove an address; False where there is none of this id. What is still to be sent there is dropped when due."""
    with deployment.database.connection() as connection, connection.transaction():
        found = push.remove(connection, task_id, id)
        if found:
            audit.write(connection, REMOVE, identity, task_id=task_id, target=id)
    return found


def find_pushes(deployment: Deployment, task_id: UUID) -> list[PushRow]:
    """The addresses that are told of a task."""
    with deployment.database.connection() as connection:
        return push.pushes(connection, task_id)

"""*Payloads*: the page of a sensitive task with what it was given and has recorded; each look at it is audited."""

from typing import Any

from agent_tasks.errors import PermissionDenied
from agent_tasks.gateway.console import task
from agent_tasks.gateway.console.looks import READ_PAYLOADS
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.task.scopes import Scope
from agent_tasks.transitions import audit


def look(look: Look) -> dict[str, Any]:
    """What the page shows. Raises TaskNotFound, PermissionDenied."""
    if not look.visitor.sees_payloads:
        raise PermissionDenied(
            f"The agent is sensitive, and what its tasks record takes the scope {Scope.PAYLOADS.value!r}, which "
            "'admin' does not stand for.",
            scope=Scope.PAYLOADS.value,
        )
    shown = task.shown(look, sees_payloads=True)
    if shown["is_sensitive"]:
        with look.client.database.connection() as connection:
            audit.write(connection, READ_PAYLOADS.name, look.caller.identity, task_id=shown["task"].id)
    return shown

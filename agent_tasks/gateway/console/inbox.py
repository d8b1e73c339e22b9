"""*Inbox*: the tasks that wait for a person, the longest first, each with a form to answer it."""

from typing import Any

from agent_tasks.gateway.console.answering import answerings
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.store.queries import console
from agent_tasks.task.status import TaskStatus

_MOST = 50


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    agent = look.first("agent") or None
    waiting = look.client.living(
        status=TaskStatus.WAITING, kind="signal", agent=agent, limit=_MOST, identity=look.caller.viewer
    )
    may = look.visitor.may("tasks:signal")
    with look.client.database.connection() as connection:
        hidden = console.sensitive(connection, [task.id for task in waiting])
    return {
        "agent": agent,
        "entries": [(task, answerings(look.client, task) if may else []) for task in waiting],
        "hidden": hidden,
        "most": _MOST,
    }

"""*Session*: what belongs to one session, in sum and task by task."""

from typing import Any

from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.console.asked import Asked
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.store.queries import console, sessions
from agent_tasks.task.task_filter import TaskFilter

READS = ("id", "tenant", "after")
_PAGE = 50


def look(look: Look) -> dict[str, Any]:
    """What the page shows. Raises InvalidInput where no session is named."""
    id = look.first("id")
    if not id:
        raise InvalidInput("Name the session: ?id=…", field="id")
    tenant = look.first("tenant") if look.visitor.sees_all else look.visitor.tenant
    wanted = TaskFilter(session_id=id, tenant=tenant)
    identity = look.caller.viewer
    found = look.client.search(wanted, limit=_PAGE, after=look.first("after") or None, identity=identity)
    with look.client.database.connection() as connection:
        totals = sessions.totals(connection, id, tenant, identity)
        hidden = console.sensitive(connection, [task.id for task in found.tasks])
    return {
        "id": id,
        "tenant": tenant,
        "totals": totals,
        "agents": sorted({agent for row in totals for agent in row["agents"]}),
        "first_at": min((row["first_at"] for row in totals), default=None),
        "last_at": max((row["last_at"] for row in totals), default=None),
        "summed_up": sessions.SUMMED_UP,
        "tasks": found.tasks,
        "hidden": hidden,
        "next": found.next or "",
        "is_first": not look.first("after"),
        "search": Asked({"session_id": id, **({"tenant": tenant or "-"} if look.visitor.sees_all else {})}).address(),
    }

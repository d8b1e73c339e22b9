"""*Inbox*: the tasks that wait for a person, the longest first, each with a form to answer it."""

from typing import Any

from agent_tasks.gateway.console.answering import answerings
from agent_tasks.gateway.console.matter import matters
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.store.queries import console
from agent_tasks.task.status import TaskStatus

_MOST = 50
READS = ("agent", "page")
_PAGES = 20


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    agent, page = look.first("agent") or None, _page(look.first("page"))
    found = look.client.living(
        status=TaskStatus.WAITING, kind="signal", agent=agent, limit=page * _MOST + 1, identity=look.caller.viewer
    )
    waiting = found[(page - 1) * _MOST : page * _MOST]
    may = look.visitor.may("tasks:signal")
    shown = matters(look.client, waiting)
    with look.client.database.connection() as connection:
        hidden = console.sensitive(connection, [task.id for task in waiting])
    return {
        "agent": agent,
        "entries": [(task, answerings(look.client, task) if may else []) for task in waiting],
        "hidden": hidden,
        "matters": {id: matter for id, matter in shown.items() if id not in hidden},
        "page_number": page,
        "has_more": len(found) > page * _MOST and page < _PAGES,
        "is_cut": len(found) > page * _MOST and page == _PAGES,
    }


def _page(text: str) -> int:
    """Return the number of a page, from 1; the first for what is none."""
    return min(_PAGES, max(1, int(text))) if text.isascii() and text.isdecimal() and len(text) < 4 else 1

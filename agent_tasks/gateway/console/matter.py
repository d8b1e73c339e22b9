"""Matter: what somebody who answers a wait decides upon, which is what the step that waits was given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent_tasks.client.client import AgentTasks
from agent_tasks.store.queries import console
from agent_tasks.task.snapshot import TaskSnapshot

_MOST = 4_000
"""Bytes of JSON beyond which only the beginning is shown."""


@dataclass(frozen=True)
class Matter:
    """Arguments by name, or the beginning of their JSON where they are long."""

    fields: dict[str, Any]
    text: str


def matters(client: AgentTasks, tasks: Sequence[TaskSnapshot]) -> dict[UUID, Matter]:
    """Return what there is to decide upon for each of these tasks that has something; of no sensitive agent."""
    if not tasks:
        return {}
    with client.database.connection() as connection:
        rows = console.arguments(connection, [task.id for task in tasks], _MOST)
    found: dict[UUID, Matter] = {}
    for id, row in rows.items():
        if isinstance(row["state"], dict) and row["state"]:
            found[id] = Matter(row["state"], "")
        elif row["state"] is None and row["text"]:
            found[id] = Matter({}, f"{row['text']}…")
    return found

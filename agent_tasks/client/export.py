"""Export: a task with all that was recorded of it, as JSON, to be replayed where there is no deployment."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from uuid import UUID

from agent_tasks.authoring.handed import JoinedChildRow, child_outcomes
from agent_tasks.errors import InvalidInput, TaskNotFound
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.children import called_children, joined_children, results, sensitive_child
from agent_tasks.store.queries.read import kept
from agent_tasks.store.queries.recording import RecordingRow, recording

FORMAT = 1
"""The format of the document: raised where what reads an older one could not read it."""


def export(connection: Connection, task_id: UUID, *, sensitive: bool = False) -> dict[str, Any]:
    """Return the document of a task, within a transaction that sees one moment.

    Raises TaskNotFound, and InvalidInput without `sensitive` where the task, or a child of it, is of a sensitive agent.
    """
    row = recording(connection, task_id)
    if row is None:
        raise TaskNotFound(f"No task {task_id}.")
    secret = row["task"]["agent"] if row["task"]["sensitive"] else sensitive_child(connection, task_id)
    if secret is not None and not sensitive:
        raise InvalidInput(
            f"The agent {secret} is sensitive, and the file would have what it has recorded: say --sensitive if it is "
            "to.",
            field="sensitive",
        )
    before = row["task"]["resumed_from"]
    return {
        "agent_tasks": version("agent-tasks"),
        "format": FORMAT,
        **row,
        "children": list(_children(connection, task_id, row)),
        "kept": None if before is None else kept(connection, UUID(before)),
    }


def _children(connection: Connection, task_id: UUID, row: RecordingRow) -> Iterator[dict[str, Any]]:
    """Yield, for each step and each call that has joined children, what it was handed."""
    for checkpoint in row["checkpoints"]:
        if (checkpoint["awaits"] or {}).get("kind") == "children":
            number = checkpoint["step_number"] + 1
            yield _handed(connection, number, None, joined_children(connection, task_id, number))
    for call in row["calls"]:
        if (call["wait"] or {}).get("kind") == "children" and call["status"] == "completed":
            number, ordinal = call["step_number"], call["ordinal"]
            yield _handed(connection, number, ordinal, called_children(connection, task_id, number, ordinal))


def _handed(connection: Connection, number: int, call: int | None, rows: list[JoinedChildRow]) -> dict[str, Any]:
    outcomes = child_outcomes(rows, lambda ids: results(connection, list(ids)))
    return {
        "step_number": number,
        "call": call,
        "outcomes": [outcome.model_dump(mode="json") for outcome in outcomes],
    }

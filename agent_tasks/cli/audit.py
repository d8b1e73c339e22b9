"""`agent-tasks audit`: who wrote what, through which door and from where."""

import re
import sys
from typing import Annotated
from uuid import UUID

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson
from agent_tasks.client.audit import AuditEntry
from agent_tasks.client.client import AgentTasks
from agent_tasks.task.origin import DOORS

_WHO, _DOOR, _OPERATION = 24, 6, 17


def audit(
    task: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what was done to this task, or the one whose id begins so.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only what this tenant's people and services did.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only what this person or service did.")] = None,
    door: Annotated[str | None, typer.Option(help=f"Only what came through it: {', '.join(DOORS)}.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only this: submit, signal, cancel, …")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List who wrote what, the newest first. --json prints one object a line."""
    with deployment() as client:
        entries = client.audit(
            tenant=tenant,
            subject=subject,
            task_id=_task_id(client, task) if task is not None else None,
            operation=operation,
            door=door,
            limit=limit,
        )
    for entry in entries:
        print(entry.model_dump_json() if as_json else _line(entry))
    if not entries and not as_json:
        print("Nothing such was written.")
    if len(entries) == limit:
        print(f"These are the newest {limit}. --limit shows more.", file=sys.stderr)


def _task_id(client: AgentTasks, given: str) -> UUID | str:
    """An id that is whole may be of a task that was purged: the audit outlives it."""
    whole = len(re.sub(r"[^0-9a-fA-F]", "", given)) == 32
    return given if whole else find_task(client, given, None).id


def _line(entry: AuditEntry) -> str:
    from agent_tasks.cli.lines import padded
    from agent_tasks.cli.text import printable

    who = "a program" if entry.subject is None else entry.subject
    if entry.tenant:
        who = f"{who} of {entry.tenant}"
    what = " ".join(str(part) for part in (entry.task_id, entry.target) if part is not None)
    said = ", ".join(f"{name}={value}" for name, value in (entry.data or {}).items())
    answer = "" if entry.answer == "accepted" else f"refused: {entry.answer}"
    parts = (
        f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}",
        padded(entry.operation, _OPERATION),
        padded(entry.door, _DOOR),
        padded(f"{who}", _WHO),
        entry.origin,
        what,
        said,
        answer,
    )
    return printable("  ".join(part for part in parts if part).rstrip())

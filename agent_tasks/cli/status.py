"""`agent-tasks status`: a task as it stands."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from agent_tasks.authoring.permissions import Declared
from agent_tasks.cli.advice import advice
from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, identity_of
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.submission import declared
from agent_tasks.store.queries import calls, read
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

_SUSPECT = "it ran when a process died, and runs apart from others until it commits"


def status(
    id: TaskId,
    traceback: Annotated[bool, typer.Option("--traceback", help="Only the failed step's traceback.")] = False,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Show a task: its status, progress, budget, and its result or error."""
    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        handle = find_task(client, id, identity)
        if traceback:
            _print_traceback(handle, as_json=as_json)
            return
        task = handle.stored()
        with client.database.connection() as connection:
            children = read.children_by_status(connection, task.id)
            costs = calls.costs(connection, [task.id])[task.id]
        text = (
            task.model_dump_json(indent=2)
            if as_json
            else describe(task, children, declared(client.database, task.agent), costs)
        )
    typer.echo(text)


def _print_traceback(task: TaskHandle, *, as_json: bool) -> None:
    found = task.traceback()
    if as_json:
        typer.echo(json.dumps({"id": str(task.id), "traceback": found}))
    elif found is not None:
        typer.echo(found.rstrip())
    else:
        typer.echo(f"Task {task.id} has no traceback: it was not ended by an error of a step.")


def describe(
    task: TaskSnapshot,
    children: dict[str, int],
    says: Declared | None = None,
    costs: Sequence[calls.CostRow] = (),
) -> str:
    """Return the lines for a person; what the task does not have is left out."""
    from agent_tasks.cli.lines import with_commands_apart
    from agent_tasks.cli.text import (
        budget_left,
        budget_reserved,
        budget_spent,
        call_costs,
        compact,
        declarations,
        duration,
        paused,
        pretty,
        printable,
        progress_text,
        since,
        waits_for,
    )

    place = f" on {task.worker}" if task.worker else ""
    attempt = f", attempt {task.attempt}" if task.attempt > 1 else ""
    lines = {
        "task": str(task.id),
        "agent": task.agent,
        **(declarations(says) if says else {}),
        "status": f"{task.status}{place}{attempt}",
        "step": f"{task.step}, after {task.step_number} committed" if not task.status.is_terminal else task.step,
        "suspect": _SUSPECT if task.suspect else "",
        "waits": waits_for(task.waiting_for) if task.waiting_for else "",
        "problem": _problem(task),
        "children": _counted(children),
        "progress": progress_text(task.progress) if task.progress else "",
        "spent": budget_spent(task.budget),
        "calls": "\n".join(call_costs(costs)),
        "left": budget_left(task.budget),
        "reserved": f"{reserved}, for its children and the calls under way"
        if (reserved := budget_reserved(task.budget))
        else "",
        "queue": task.queue,
        "for": f"{task.identity.subject} {task.identity.tenant}".strip() if task.identity else "",
        "session": task.session_id or "",
        "metadata": compact(task.metadata) if task.metadata else "",
        "parent": str(task.parent_id or ""),
        "resumes": str(task.resumed_from or ""),
        "submitted": f"{task.created_at:%Y-%m-%d %H:%M:%S %Z}, {duration(since(task.created_at))} ago",
        "took": duration((task.finished_at - task.created_at).total_seconds()) if task.finished_at else "",
        "paused": paused(task),
        "error": f"{task.error.type}: {printable(task.error.message)}" if task.error else "",
        "undone": _undone(task, "undone"),
        "not undone": _undone(task, "not_undone"),
        "to do": "\n".join(with_commands_apart(advice(task.id, task.error))),
        "partial": compact(task.partial, 400) if task.partial is not None and task.result is None else "",
        "remaining": compact(task.remaining, 400) if task.remaining is not None else "",
    }
    width = max(map(len, lines))
    below = "\n" + " " * (width + 2)
    text = "\n".join(f"{name:<{width}}  {value.replace(chr(10), below)}" for name, value in lines.items() if value)
    return text if task.result is None else f"{text}\nresult\n{pretty(task.result)}"


def _problem(task: TaskSnapshot) -> str:
    """Return why nobody runs the task's step, and what to do, in lines."""
    from agent_tasks.cli.lines import with_commands_apart

    found = task.unserved
    return "\n".join([found.message, *with_commands_apart(found.action)]) if found else ""


def _undone(task: TaskSnapshot, which: str) -> str:
    """Return the steps whose undo has run, or was given up and why."""
    from agent_tasks.cli.text import printable

    steps: list[dict[str, str]] = task.error.details.get(which) or [] if task.error else []
    return printable("; ".join(f"{s.get('step')}: {s['error']}" if "error" in s else str(s.get("step")) for s in steps))


def _counted(children: dict[str, int]) -> str:
    """Return the children counted by status, as in 5: 3 completed, 2 running."""
    parts = [f"{children[status]} {status}" for status in TaskStatus if status in children]
    return f"{sum(children.values())}: {', '.join(parts)}" if parts else ""

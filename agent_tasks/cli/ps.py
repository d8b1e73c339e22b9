"""`agent-tasks ps`: tasks that have not ended, and what each waits for."""

import json
import sys
from typing import Annotated, Literal

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, identity_of
from agent_tasks.client.living_task import LivingTask
from agent_tasks.task.budget import Budget
from agent_tasks.task.status import TaskStatus

_ID, _STEP, _STATUS, _SINCE = 36, 22, 9, 7


def ps(
    agent: Annotated[str | None, typer.Option(help="Only tasks of this agent.")] = None,
    status: Annotated[TaskStatus | None, typer.Option(help="Only tasks in this state.")] = None,
    kind: Annotated[
        Literal["signal", "timer", "children", "retry"] | None, typer.Option(help="Only tasks that wait for this.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only tasks of this tenant; with --as, their tenant.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only tasks of this person or service.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most to list.")] = 100,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """List the tasks that have not ended, and what each waits for. The longest wait comes first."""
    identity = identity_of(as_subject, tenant or "" if as_subject else "", scope)
    with deployment() as client:
        tasks = client.living(
            agent=agent, status=status, kind=kind, tenant=tenant, subject=subject, identity=identity, limit=limit
        )
    if as_json:
        typer.echo(json.dumps([task.model_dump(mode="json") for task in tasks], ensure_ascii=False, indent=2))
        return
    if not tasks:
        typer.echo(
            "No such tasks."
            if any((agent, status, kind, tenant, subject, identity))
            else "No tasks are running or waiting."
        )
        return
    typer.echo(f"{'TASK':<{_ID}}  {'STEP':<{_STEP}}  {'STATUS':<{_STATUS}} {'SINCE':>{_SINCE}}")
    for task in tasks:
        _print(task)
    if len(tasks) == limit:
        print(f"These are the first {limit}. --limit shows more.", file=sys.stderr)


def _print(task: LivingTask) -> None:
    """Print a line with the task's id, and as many as its wait and the budget it holds take."""
    from agent_tasks.cli.lines import packed, padded, terminal_width
    from agent_tasks.cli.text import COLOURS, duration, since

    status = typer.style(f"{task.status:<{_STATUS}}", fg=COLOURS[task.status])
    step = padded(f"{task.agent}.{task.step}", _STEP)
    typer.echo(f"{task.id}  {step}  {status} {duration(since(task.since)):>{_SINCE}}")
    for line in packed(_details(task), terminal_width()):
        typer.secho(line, dim=True)


def _details(task: LivingTask) -> list[str]:
    from agent_tasks.cli.text import awaited, budget_left, budget_reserved, paused, time_left, where

    waiting, reserved = task.waiting_for, budget_reserved(task.budget, ", ")
    return [
        *([f"for {awaited(waiting)}", time_left(waiting)] if waiting else [where(task)]),
        paused(task),
        task.unserved.message if task.unserved else "",
        f"in the tree of {task.root_id}" if task.parent_id else "",
        f"left {budget_left(task.budget, ', ')}" if task.budget.limit != Budget() else "no budget limit",
        f"reserved {reserved}" if reserved else "",
    ]

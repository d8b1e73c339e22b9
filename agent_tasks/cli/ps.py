"""`agent-tasks ps`: the living tasks, oldest first."""

import json
import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson
from agent_tasks.snapshots import TaskSnapshot
from agent_tasks.states import TaskStatus
from agent_tasks.transitions import read

_STEP, _STATUS, _AGE = 22, 9, 7


def ps(
    agent: Annotated[str | None, typer.Option(help="Only of this agent.")] = None,
    status: Annotated[TaskStatus | None, typer.Option(help="Only in this state, ended ones too.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only of this person or service.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only what waits for a signal, timer, children or retry.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the tasks that have not ended, oldest first."""
    with deployment() as client, client.database.connection() as connection:
        rows = read.living_tasks(
            connection,
            agent=agent,
            status=status,
            tenant=tenant,
            subject=subject,
            kind=kind,
            limit=limit,
        )
    tasks = [TaskSnapshot.from_row(row) for row in rows]
    if as_json:
        typer.echo(json.dumps([task.model_dump(mode="json") for task in tasks], ensure_ascii=False, indent=2))
        return
    if not tasks:
        typer.echo("No tasks." if status or agent or tenant or subject or kind else "No living tasks.")
        return
    typer.echo(f"{'ID':<36}  {'STEP':<{_STEP}}  {'STATUS':<{_STATUS}} {'AGE':>{_AGE}}".rstrip())
    for task in tasks:
        _print(task)
    if len(tasks) == limit:
        print(f"The oldest {limit}; --limit shows more.", file=sys.stderr)


def _print(task: TaskSnapshot) -> None:
    """Two lines, which fit 80 columns but for long names of workers."""
    from agent_tasks.cli.text import COLOURS, budget_left, duration, since, where

    step = f"{task.agent}.{task.step}"
    step = step if len(step) <= _STEP else step[: _STEP - 1] + "…"
    status = typer.style(f"{task.status:<{_STATUS}}", fg=COLOURS[task.status])
    typer.echo(f"{task.id}  {step:<{_STEP}}  {status} {duration(since(task.created_at)):>{_AGE}}")
    details = " · ".join(filter(None, [where(task), f"{budget_left(task.budget)} left"]))
    typer.echo(typer.style(f"  {details}", dim=True))

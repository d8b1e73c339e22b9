"""`agent-tasks ls`: tasks that are found by what is asked of them, ended ones too."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.filters import (
    AtStep,
    CreatedAfter,
    CreatedBefore,
    EndedAfter,
    EndedBefore,
    OfAgent,
    OfSession,
    OfSubject,
    OfTenant,
    OnQueue,
    Status,
    WithError,
    WithMetadata,
    WithText,
    filter_of,
)
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, identity_of
from agent_tasks.client.listing import LARGEST_PAGE, Page
from agent_tasks.task.snapshot import TaskSnapshot

_ID, _STEP, _STATUS, _AGE = 36, 22, 9, 7


def ls(
    status: Status = None,
    agent: OfAgent = None,
    step: AtStep = None,
    queue: OnQueue = None,
    tenant: OfTenant = None,
    subject: OfSubject = None,
    session_id: OfSession = None,
    error_type: WithError = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    ended_after: EndedAfter = None,
    ended_before: EndedBefore = None,
    metadata: WithMetadata = None,
    text: WithText = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_PAGE, help="The most to list.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on below the page before, which says this at its end.")
    ] = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Find tasks, ended ones too. The newest come first; with a time of the end, those that ended last.

    --json prints one object a line.
    """
    identity = identity_of(as_subject, tenant or "" if as_subject else "", scope)
    wanted = filter_of(
        status=status, agent=agent, step=step, queue=queue, tenant=tenant, subject=subject, session_id=session_id,
        error_type=error_type, created_after=created_after, created_before=created_before, ended_after=ended_after,
        ended_before=ended_before, metadata=metadata, text=text,
    )  # fmt: skip
    with deployment() as client:
        page = client.search(wanted, limit=limit, after=after, identity=identity)
        found = list(page.tasks)
        while page.next is not None and len(found) < limit:  # short pages, where few match
            page = client.search(wanted, limit=limit - len(found), after=page.next, identity=identity)
            found += page.tasks
    _print(found, page, as_json=as_json)


def _print(found: list[TaskSnapshot], page: Page, *, as_json: bool) -> None:
    if as_json:
        for task in found:
            typer.echo(task.model_dump_json())
    elif not found:
        typer.echo("No such tasks.")
    else:
        typer.echo(f"{'TASK':<{_ID}}  {'STEP':<{_STEP}}  {'STATUS':<{_STATUS}} {'AGE':>{_AGE}}")
        for task in found:
            _print_task(task)
    if page.next is not None:
        print(f"There are more. --after {page.next} goes on below.", file=sys.stderr)


def _print_task(task: TaskSnapshot) -> None:
    from agent_tasks.cli.lines import packed, padded, terminal_width
    from agent_tasks.cli.text import COLOURS, compact, duration, paused, since, unserved, where

    status = typer.style(f"{task.status:<{_STATUS}}", fg=COLOURS[task.status])
    step = padded(f"{task.agent}.{task.step}", _STEP)
    typer.echo(f"{task.id}  {step}  {status} {duration(since(task.created_at)):>{_AGE}}")
    details = [
        where(task),
        paused(task),
        unserved(task),
        f"ended {duration(since(task.finished_at))} ago" if task.finished_at else "",
        compact(task.metadata) if task.metadata else "",
    ]
    for line in packed(details, terminal_width()):
        typer.secho(line, dim=True)

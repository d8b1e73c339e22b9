"""`agent-tasks cancel`: end a task and all below it."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, identity_of


def cancel(
    id: TaskId,
    reason: Annotated[str, typer.Option(help="Kept with the task.")] = "cancelled by request",
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a task and all below it; one that has ended stays as it is."""
    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        task = find_task(client, id, identity)
        had_ended = task.stored().status.is_terminal
        ended = task.cancel(reason)
    if as_json:
        typer.echo(ended.model_dump_json(indent=2))
    elif had_ended:
        typer.echo(f"{ended.id} had ended as {ended.status}")
    elif not ended.status.is_terminal:
        typer.echo(f"{ended.id} ends as soon as its committed steps are undone")
    else:
        typer.echo(f"{ended.id} {ended.status}")

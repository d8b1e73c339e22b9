"""`agent-tasks cancel`: end a task and its whole subtree."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, identity_of


def cancel(
    id: TaskId,
    reason: Annotated[str, typer.Option(help="The reason, kept with the task.")] = "cancelled by request",
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a task and everything it has spawned. A task that has ended stays as it is."""
    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        task = find_task(client, id, identity)
        had_ended = task.stored().status.is_terminal
        ended = task.cancel(reason)
    if as_json:
        typer.echo(ended.model_dump_json(indent=2))
    elif had_ended:
        typer.echo(f"{ended.id} had already ended: {ended.status}")
    elif not ended.status.is_terminal:
        typer.echo(f"{ended.id} is being cancelled: its committed steps are undone first")
    else:
        typer.echo(f"{ended.id} {ended.status}")

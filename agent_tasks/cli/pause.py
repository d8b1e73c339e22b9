"""`agent-tasks pause`: begin no more steps of a task, an agent, a queue or a tenant."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson
from agent_tasks.cli.pauses import named

Id = Annotated[str | None, typer.Argument(metavar="[ID]", help="The task's id, or the beginning of it.")]
OfAgent = Annotated[str | None, typer.Option("--agent", help="All tasks of this agent.")]
OnQueue = Annotated[str | None, typer.Option("--queue", help="All tasks on this queue.")]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", help="All tasks of this tenant; with --agent or --queue, of these.")
]


def pause(
    id: Id = None,
    agent: OfAgent = None,
    queue: OnQueue = None,
    tenant: OfTenant = None,
    reason: Annotated[str | None, typer.Option(help="The reason, shown with each task that stands still.")] = None,
    as_json: AsJson = False,
) -> None:
    """Begin no more steps of a task and of all below it, or of an agent, a queue or a tenant. Running steps end."""
    with deployment() as client:
        task = None if id is None else find_task(client, id, None)
        found = None if task is not None else client.search(agent=agent, queue=queue, tenant=tenant, limit=1)
        begun = client.pause(task, agent=agent, queue=queue, tenant=tenant, reason=reason)
    typer.echo(begun.model_dump_json() if as_json else f"The {named(begun)} is paused")
    if found is not None and not found.tasks and found.next is None:
        print("No task is of it yet; the pause holds for those to come. Is the name right?", file=sys.stderr)

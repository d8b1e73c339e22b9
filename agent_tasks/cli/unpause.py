"""`agent-tasks unpause`: let what is paused go on."""

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson
from agent_tasks.cli.pause import Id, OfAgent, OfTenant, OnQueue
from agent_tasks.cli.pauses import named


def unpause(
    id: Id = None,
    agent: OfAgent = None,
    queue: OnQueue = None,
    tenant: OfTenant = None,
    as_json: AsJson = False,
) -> None:
    """End a pause: steps are begun again, and time-outs are as much later as it lasted."""
    from agent_tasks.cli.text import duration

    with deployment() as client:
        task = None if id is None else find_task(client, id, None)
        ended = client.resume_paused(task, agent=agent, queue=queue, tenant=tenant)
    if as_json:
        typer.echo(ended.model_dump_json())
        return
    assert ended.ended_at is not None
    lasted = duration((ended.ended_at - ended.began_at).total_seconds())
    typer.echo(f"The {named(ended)} goes on; it was paused for {lasted}")

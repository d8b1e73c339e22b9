"""`agent-tasks webhooks set`: register an endpoint, or change it."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Name, Secret, Tenant, read_secret
from agent_tasks.client.endpoint import Payload


def put(
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where it is: https or http, on the public internet.")],
    type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Tell it of these events, as task.failed; repeatable."),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option("--agent", metavar="NAME", help="Tell it of tasks of these agents; repeatable."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Send the task, too, not only how it stands.")] = False,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Do not wait with a task's next event until the one before has come.")
    ] = False,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Tell it of this person's or service's tasks. Default: all.")
    ] = None,
    secret: Secret = None,
    tenant: Tenant = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Register an endpoint, or change the one of this name. What is left out is the default again, but the secret."""
    asker = Asker.of(as_subject, tenant, scope)
    payload: Payload = "full" if full else "thin"
    with deployment() as client:
        made = client.webhooks.put(
            name,
            url,
            types=type or None,
            agents=agent or None,
            payload=payload,
            ordered=not unordered,
            secret=read_secret(secret),
            subject=subject,
            tenant=asker.tenant,
            identity=asker.identity,
        )
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(made.secret)
    print(f"What it is sent is signed with this. To try it: agent-tasks webhooks ping {name}", file=sys.stderr)

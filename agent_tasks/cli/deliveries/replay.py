"""`agent-tasks deliveries replay`: send events once more."""

import json
from typing import Annotated

import typer

from agent_tasks.cli.deliveries.show import print_delivery
from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Tenant
from agent_tasks.errors import InvalidInput


def replay(
    id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The delivery's id; or name an endpoint with --webhook.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="NAME", help="Send this endpoint what has not come to it.")
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From when on, as 2026-11-27T09:00:00Z, or a cursor of agent-tasks feed."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when.")] = None,
    all: Annotated[bool, typer.Option("--all", help="What has come to it, too.")] = False,
    tenant: Tenant = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Send an event once more, or all that has not come to an endpoint, also while it was disabled."""
    asker = Asker.of(as_subject, tenant, scope)
    if (id is None) == (webhook is None):
        raise InvalidInput("Give either the ID of a delivery, or --webhook NAME.", field="id")
    if webhook is None and (after or until or all):
        raise InvalidInput("--after, --until and --all are of a range: they need --webhook NAME.", field="webhook")
    with deployment() as client:
        if webhook is not None:
            count = client.webhooks.replay_range(
                webhook,
                after=after,
                until=until,
                only="all" if all else "failed",
                tenant=asker.tenant,
                identity=asker.identity,
            )
            events = "1 event" if count == 1 else f"{count:,} events"
            typer.echo(json.dumps({"replayed": count}) if as_json else f"{events} for {webhook}")
        elif id is not None:
            made = client.webhooks.replay(id, identity=asker.identity)
            if as_json:
                typer.echo(made.model_dump_json())
            else:
                print_delivery(made)

"""`agent-tasks deliveries show`: one delivery."""

from typing import Annotated

import typer

from agent_tasks.cli.deliveries.listing import outcome
from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Tenant
from agent_tasks.client.delivery import Delivery

Id = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id; see agent-tasks deliveries list.")]


def show(
    id: Id, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Show a delivery: what goes where, and what came of it."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.webhooks.delivery(id, identity=asker.identity)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        print_delivery(found)


def print_delivery(delivery: Delivery) -> None:
    """Print what is known of a delivery, for a person."""
    from agent_tasks.cli.text import printable

    for what, value in (
        ("delivery", delivery.id),
        ("status", delivery.status),
        ("endpoint", delivery.webhook),
        ("url", delivery.url),
        ("event", f"{delivery.event_id}, {delivery.type}"),
        ("task", delivery.task_id),
        ("tried", outcome(delivery)),
    ):
        if value:
            typer.echo(f"{what:<9} {printable(str(value))}")

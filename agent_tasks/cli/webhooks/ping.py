"""`agent-tasks webhooks ping`: an event for one endpoint alone."""

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Name, Tenant


def ping(
    name: Name, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Send a webhook.ping to an endpoint, and print the id of the delivery."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        sent = client.webhooks.ping(name, tenant=asker.tenant, identity=asker.identity)
    typer.echo(sent.model_dump_json() if as_json else str(sent.id))

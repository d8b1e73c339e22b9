"""`agent-tasks webhooks enable` and `disable`: whether an endpoint is told of events."""

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Name, Tenant


def enable(
    name: Name, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Tell an endpoint of events again. What happened meanwhile can be replayed."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.webhooks.enable(name, tenant=asker.tenant, identity=asker.identity)
    typer.echo(found.model_dump_json(exclude={"secret"}) if as_json else f"{name} is enabled")


def disable(
    name: Name, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Tell an endpoint nothing any more. What is still to be delivered is dropped."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.webhooks.disable(name, tenant=asker.tenant, identity=asker.identity)
    typer.echo(found.model_dump_json(exclude={"secret"}) if as_json else f"{name} is disabled")

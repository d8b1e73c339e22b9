"""`agent-tasks webhooks show`: one endpoint, with its secret."""

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.listing import state, told
from agent_tasks.cli.webhooks.options import Asker, Name, Tenant


def show(
    name: Name, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Show an endpoint, with its secret."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.webhooks.get(name, tenant=asker.tenant, identity=asker.identity)
    if as_json:
        typer.echo(found.model_dump_json())
        return
    until = f"{found.rotating_until:%Y-%m-%d %H:%M UTC}" if found.rotating_until else None
    for what, value in (
        ("name", found.name),
        ("url", found.url),
        ("state", state(found)),
        ("told", " · ".join(told(found))),
        ("secret", found.secret),
        ("rotating", until and f"the secret before signs, too, until {until}"),
    ):
        if value:
            typer.echo(f"{what:<9} {value}")

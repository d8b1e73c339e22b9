"""`agent-tasks webhooks callback-secret`: the secret of a tenant's callbacks."""

import json

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Tenant


def callback_secret(
    tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Print the secret with which callbacks of a tenant's tasks are signed: what goes to their --callback-url."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        secret = client.webhooks.callback_secret(tenant=asker.tenant, identity=asker.identity)
    typer.echo(json.dumps({"secret": secret}) if as_json else secret)

"""`agent-tasks alerts remove`: forget an alert."""

import json

import typer

from agent_tasks.cli.alerts.put import Name
from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.problems import ExitCode, Failed, Problem
from agent_tasks.cli.webhooks.options import Asker, Tenant


def remove(
    name: Name, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Remove an alert. Where it fires, webhooks are told that it is over."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        if not client.remove_alert(name, tenant=asker.tenant, identity=asker.identity):
            message = f"There is no alert named {name!r}."
            raise Failed(Problem(ExitCode.NOT_FOUND, "invalid_input", message, "List them: agent-tasks alerts list"))
    typer.echo(json.dumps({"name": name, "removed": True}) if as_json else f"{name} is removed")

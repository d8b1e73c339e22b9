"""`agent-tasks unschedule`: stop submitting a task again and again."""

import json
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, identity_of
from agent_tasks.cli.problems import ExitCode, Failed, Problem


def unschedule(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name; see agent-tasks schedules.")],
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Remove a schedule. Tasks it has submitted go on."""
    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        if not client.unschedule(name, identity=identity):
            message = f"There is no schedule named {name!r}."
            raise Failed(Problem(ExitCode.NOT_FOUND, "invalid_input", message, "List them: agent-tasks schedules"))
    typer.echo(json.dumps({"name": name, "removed": True}) if as_json else f"{name} is removed")

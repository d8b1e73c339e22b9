"""`agent-tasks keys revoke`: end an API key."""

import json
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson
from agent_tasks.cli.problems import ExitCode, Failed, Problem


def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `agent-tasks keys list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """End an API key, at once and for good. Tasks that were submitted with it go on."""
    with deployment() as client:
        if not client.revoke_key(id):
            message = f"There is no key {id!r}."
            raise Failed(Problem(ExitCode.NOT_FOUND, "invalid_input", message, "List them: agent-tasks keys list"))
    typer.echo(json.dumps({"id": id, "revoked": True}) if as_json else f"{id} is revoked")

"""`agent-tasks bulk show`: how far an operation has come."""

from typing import Annotated

import typer

from agent_tasks.cli.bulk.running import show as print_bulk
from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, identity_of

Id = Annotated[str, typer.Argument(metavar="ID", help="The operation's id; see agent-tasks bulk list.")]


def show(
    id: Id, as_subject: AsSubject = None, tenant: AsTenant = "", scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Show how far an operation has come."""
    with deployment() as client:
        print_bulk(client.get_bulk(id, identity=identity_of(as_subject, tenant, scope)), as_json=as_json)

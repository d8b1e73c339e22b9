"""`agent-tasks bulk list`: the operations that began last."""

from typing import Annotated

import typer

from agent_tasks.cli.bulk.running import summary
from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, identity_of


def listing(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The most to list.")] = 20,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """List the operations that began last, the newest first. --json prints one object a line."""
    from agent_tasks.cli.text import duration, since

    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.bulks(limit=limit, identity=identity)
    if as_json:
        for bulk in found:
            typer.echo(bulk.model_dump_json())
    elif not found:
        typer.echo("No bulk operations.")
    for bulk in [] if as_json else found:
        age = f"{duration(since(bulk.created_at))} ago" if bulk.created_at else ""
        typer.echo(f"{bulk.id}  {bulk.operation:<11}  {bulk.status:<8} {age:>10}  {summary(bulk)}")

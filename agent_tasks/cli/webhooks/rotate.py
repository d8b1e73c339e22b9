"""`agent-tasks webhooks rotate`: a new secret."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.lifetime import lifetime
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Name, Secret, Tenant, read_secret


def rotate(
    name: Name,
    overlap: Annotated[
        str, typer.Option(metavar="TIME", help="How long the old secret signs, too, as in 24h (s, m, h, d, w).")
    ] = "1d",
    secret: Secret = None,
    tenant: Tenant = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Replace the secret of an endpoint. For a while what is sent is signed with both."""
    asker = Asker.of(as_subject, tenant, scope)
    seconds = lifetime(overlap, "overlap")
    with deployment() as client:
        made = client.webhooks.rotate(
            name, secret=read_secret(secret), overlap=seconds, tenant=asker.tenant, identity=asker.identity
        )
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(made.secret)
    until = f"{made.rotating_until:until %Y-%m-%d %H:%M UTC}" if made.rotating_until else "no more"
    print(f"The secret before signs, too, {until}.", file=sys.stderr)

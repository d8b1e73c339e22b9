"""`agent-tasks keys create`: an API key, shown once."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.lifetime import lifetime
from agent_tasks.cli.options import AsJson
from agent_tasks.task.scopes import Scope, misspelt


def create(
    subject: Annotated[str, typer.Option(help="The person or service the key stands for.")],
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Their tenant.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"What it may do; repeatable: {', '.join(Scope)}.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Its lifetime, as in 90d (s, m, h, d, w). Default: no end.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown only now, and kept nowhere."""
    seconds = None if expires is None else lifetime(expires, "expires")
    scopes = scope or []
    for problem in warnings(scopes):
        print(f"warning: {problem}", file=sys.stderr)
    with deployment() as client:
        made = client.create_key(tenant=tenant, subject=subject, scopes=scopes, expires_in=seconds)
    if as_json:
        typer.echo(made.model_dump_json())
        return
    typer.echo(made.key)
    until = f" until {made.expires_at:%Y-%m-%d %H:%M UTC}" if made.expires_at else ""
    print(f"It is valid{until}, and not shown again. To end it: agent-tasks keys revoke {made.id}", file=sys.stderr)


def warnings(scopes: list[str]) -> list[str]:
    """Return warnings about likely mistakes in the scopes of a new key."""
    if not scopes:
        return ["a key without a scope may do nothing: name some with --scope."]
    return [
        f"{scope!r} is no scope of the gateway" + (f"; did you mean {nearest}?" if nearest else ".")
        for scope, nearest in misspelt(scopes)
    ]

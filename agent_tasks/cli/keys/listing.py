"""`agent-tasks keys list`: the identities of the API keys, and when they expire."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.client.keys import ApiKey

_WHO = 40


def listing(
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Only keys of this tenant.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each, one a line.")] = False,
) -> None:
    """List the API keys, and when each was last used. The keys themselves are kept nowhere."""
    from agent_tasks.cli.lines import packed, padded, terminal_width

    with deployment() as client:
        found = client.keys(tenant)
    if as_json:
        for key in found:
            typer.echo(key.model_dump_json())
    elif not found:
        typer.echo("No keys.")
    else:
        typer.echo(f"{'KEY':<16}  {padded('SUBJECT', _WHO)}  STATE")
        for key in found:
            who = f"{key.subject} of {key.tenant}" if key.tenant else key.subject
            typer.echo(f"{key.id}  {padded(who, _WHO)}  {state(key)}")
            for line in packed([" ".join(key.scopes) or "no scope", used(key)], terminal_width()):
                typer.secho(line, dim=True)


def state(key: ApiKey) -> str:
    """Return whether the key is valid, and for how long."""
    from agent_tasks.cli.text import duration, since

    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    left = -since(key.expires_at)
    return f"valid for {duration(left)}" if left > 0 else "expired"


def used(key: ApiKey) -> str:
    """Return when the key was last used."""
    from agent_tasks.cli.text import duration, since

    return f"used {duration(max(0.0, since(key.last_used_at)))} ago" if key.last_used_at else "never used"

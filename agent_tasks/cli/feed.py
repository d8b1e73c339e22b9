"""`agent-tasks feed`: what happened in a tenant, in the order of the commits."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Tenant
from agent_tasks.client.feed import FeedEvent

_TYPE = 18


def feed(
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on there: what the command before has printed.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to print.")] = 100,
    tenant: Tenant = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Print what happened in a tenant, each event once, in the order of the commits. --json prints the page."""
    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        page = client.webhooks.feed(after=after, tenant=asker.tenant, limit=limit, identity=asker.identity)
    if as_json:
        typer.echo(page.model_dump_json())
        return
    for event in page.events:
        typer.echo(_line(event))
    if not page.events:
        typer.echo("Nothing such has happened.")
    print(f"Go on {'' if page.more else 'later '}with --after {page.next}", file=sys.stderr)


def _line(event: FeedEvent) -> str:
    from agent_tasks.cli.lines import padded
    from agent_tasks.cli.text import clock, printable

    about = [event.data[name] for name in ("task_id", "agent", "status", "webhook") if event.data.get(name)]
    return f"{clock(event.timestamp)}  {padded(event.type, _TYPE)}  {printable('  '.join(map(str, about)))}".rstrip()

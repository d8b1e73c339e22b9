"""`agent-tasks webhooks list`: the endpoints, and how they stand."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker
from agent_tasks.client.endpoint import Webhook

_NAME = 30


def listing(
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Only endpoints of this tenant.")] = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each, one a line.")] = False,
) -> None:
    """List the endpoints: where each is, and of what it is told. Secrets are not shown."""
    from agent_tasks.cli.lines import packed, padded, terminal_width

    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.webhooks.list(tenant=asker.tenant, identity=asker.identity)
    if as_json:
        for webhook in found:
            typer.echo(webhook.model_dump_json(exclude={"secret"}))
    elif not found:
        typer.echo("No endpoints.")
    else:
        typer.echo(f"{padded('NAME', _NAME)}  STATE")
        for webhook in found:
            typer.echo(f"{padded(webhook.name, _NAME)}  {state(webhook)}")
            for line in packed([webhook.url, *told(webhook)], terminal_width()):
                typer.secho(line, dim=True)


def state(webhook: Webhook) -> str:
    """Return whether it is told of events, and whether they come to it."""
    from agent_tasks.cli.text import duration, since

    if webhook.disabled_at is not None:
        why = {"asked": "", "gone": ": it has answered 410", "failing": ": nothing came to it for five days"}
        ago = duration(max(0.0, since(webhook.disabled_at)))
        return f"disabled {ago} ago{why[webhook.disabled_why or 'asked']}"
    if webhook.failing_since is not None:
        return f"failing for {duration(max(0.0, since(webhook.failing_since)))}"
    return "enabled"


def told(webhook: Webhook) -> list[str]:
    """Return of what it is told, and how."""
    whose = webhook.subject or "everybody"
    return [
        f"of {whose} in {webhook.tenant}" if webhook.tenant else f"of {whose}",
        "all events" if webhook.types is None else ", ".join(webhook.types),
        "all agents" if webhook.agents is None else ", ".join(webhook.agents),
        webhook.payload,
        "in order" if webhook.ordered else "unordered",
    ]

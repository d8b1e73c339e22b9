"""`agent-tasks alerts list`: the alerts, and how they stand."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker
from agent_tasks.client.alert import Alert
from agent_tasks.client.alert_rule import unit_of

_NAME = 30


def listing(
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Only alerts of this tenant.")] = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each, one a line.")] = False,
) -> None:
    """List the alerts: what each measures, what was measured last, and since when it fires."""
    from agent_tasks.cli.lines import packed, padded, terminal_width

    asker = Asker.of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.alerts(tenant=asker.tenant, identity=asker.identity)
    if as_json:
        for alert in found:
            typer.echo(alert.model_dump_json())
    elif not found:
        typer.echo("No alerts.")
    else:
        typer.echo(f"{padded('NAME', _NAME)}  STATE")
        for alert in found:
            typer.echo(f"{padded(alert.name, _NAME)}  {_state(alert)}")
            for line in packed(_rule(alert), terminal_width()):
                typer.secho(line, dim=True)


def _state(alert: Alert) -> str:
    from agent_tasks.cli.text import duration, since

    if alert.checked_at is None:
        return "not checked yet"
    return f"{alert.state} for {duration(max(0.0, since(alert.since)))}"


def _rule(alert: Alert) -> list[str]:
    """Return what it measures, from when on it fires, and what was measured last."""
    from agent_tasks.cli.text import duration

    value = "nothing" if alert.value is None else _shown(alert.kind, alert.value)
    whose = "of everybody" if alert.everywhere else f"of {alert.tenant or 'no tenant'}"
    agent = f"{alert.agent}{' (which no worker has)' if alert.unknown_agent else ''}" if alert.agent else ""
    return [
        f"{alert.kind} ≥ {_shown(alert.kind, alert.threshold)}",
        f"within {duration(alert.window)}" if alert.window else "",
        whose,
        agent,
        f"queue {alert.queue}" if alert.queue else "",
        f"for {alert.waits_for}" if alert.waits_for else "",
        f"measured: {value}",
    ]


def _shown(kind: str, value: float) -> str:
    from agent_tasks.cli.text import dollars, duration

    match unit_of(kind):
        case "seconds":
            return duration(value)
        case "share":
            return f"{value:.1%}"
        case "usd":
            return f"{dollars(value)} usd"
        case _:
            return f"{value:,.0f}"

"""`agent-tasks alerts set`: make an alert, or change it."""

import sys
from typing import Annotated, cast, get_args

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.lifetime import lifetime
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker
from agent_tasks.client.alert_rule import AlertKind, AlertRule, WaitsFor, unit_of
from agent_tasks.errors import InvalidInput

Name = Annotated[str, typer.Argument(metavar="NAME", help="The alert's name; see agent-tasks alerts list.")]


def put(
    name: Name,
    kind: Annotated[str, typer.Argument(metavar="|".join(get_args(AlertKind)), help="What is measured.")],
    threshold: Annotated[
        str | None,
        typer.Argument(
            metavar="[THRESHOLD]",
            help="From which on it fires: a time, as in 2h, of waiting, pending and unserved (default: 60s); 20% of "
            "failures; US dollars of spend; a number of orphans and deliveries (default: 1).",
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How far is looked back, as in 24h. Default: 1d of spend, else 1h."),
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only tasks of this agent.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only tasks of this queue.")] = None,
    waits_for: Annotated[
        str | None,
        typer.Option(metavar="|".join(get_args(WaitsFor)), help="Of waiting: only what waits for this."),
    ] = None,
    least: Annotated[
        int | None, typer.Option(help="Of failures: how many tasks must have ended for a share to count. Default: 10.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Whose tasks. Default: all.")] = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Make an alert, or change the rule of the one of this name."""
    asker = Asker.of(as_subject, tenant, scope)
    rule = AlertRule(
        cast("AlertKind", kind),
        _amount(kind, threshold),
        None if window is None else lifetime(window, "window"),
        agent,
        queue,
        cast("WaitsFor | None", waits_for),
        least,
    )
    with deployment() as client:
        made = client.put_alert(name, rule, tenant=asker.tenant, identity=asker.identity)
    typer.echo(made.model_dump_json() if as_json else f"{name} is set; it is {made.state}")
    if made.unknown_agent:
        print(f"No worker has registered the agent {agent!r} yet. List them: agent-tasks check", file=sys.stderr)


def _amount(kind: str, text: str | None) -> float | None:
    """Return the threshold; what is none of a kind's is left to the rule. Raises InvalidInput."""
    if text is None or kind not in get_args(AlertKind):
        return None
    if unit_of(kind) == "seconds":
        return lifetime(text, "threshold")
    try:
        return float(text[:-1]) / 100 if unit_of(kind) == "share" and text.endswith("%") else float(text)
    except ValueError:
        raise InvalidInput(f"The threshold of {kind} must be a number, not {text[:80]!r}.", field="threshold") from None

"""`agent-tasks spend`: what was charged, by agent, tenant, subject, model and day."""

import sys
from typing import Annotated, cast

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.moments import HOW, moment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, identity_of
from agent_tasks.client.spending import MOST_SUMS, SpendKey, Spent

_KEYS: dict[str, int] = {"agent": 24, "tenant": 20, "subject": 20, "model": 28, "day": 10}


def spend(
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="|".join(_KEYS), help="What to sum up by; repeatable. Default: day."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help=f"Charged at this time or later: {HOW}. Default: today, UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Charged earlier than this.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only by this agent.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only for this tenant; with --as, their tenant.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only for this person or service.")] = None,
    model: Annotated[str | None, typer.Option(help="Only for this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_SUMS, help="The most to list.")] = 1_000,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Sum up what was charged, the most first. --json prints one object a line."""
    keys = cast("list[SpendKey]", by or ["day"])
    identity = identity_of(as_subject, tenant or "" if as_subject else "", scope)
    with deployment() as client:
        found = client.spend(
            keys, since=moment(since, "--since"), until=moment(until, "--until"), agent=agent, tenant=tenant,
            subject=subject, model=model, limit=limit, identity=identity,
        )  # fmt: skip
    if as_json:
        for each in found:
            typer.echo(each.model_dump_json())
    elif not found:
        typer.echo("Nothing was charged.")
    else:
        typer.echo("  ".join([*(f"{key.upper():<{_KEYS[key]}}" for key in keys), _amounts("TASKS", "TOKENS", "USD")]))
        for each in found:
            typer.echo(_line(each, keys))
    if len(found) == limit:
        print(f"These are the {limit} that cost the most. --limit shows more.", file=sys.stderr)


def _line(spent: Spent, keys: list[SpendKey]) -> str:
    from agent_tasks.cli.lines import padded
    from agent_tasks.cli.text import dollars

    of = [padded(str(getattr(spent, key) or "-"), _KEYS[key]) for key in keys]
    return "  ".join([*of, _amounts(f"{spent.tasks:,}", f"{spent.tokens:,}", dollars(spent.usd))])


def _amounts(tasks: str, tokens: str, usd: str) -> str:
    return f"{tasks:>9}  {tokens:>15}  {usd:>14}"

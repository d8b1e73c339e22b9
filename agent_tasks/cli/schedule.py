"""`agent-tasks schedule`: submit a task again and again."""

from enum import StrEnum
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import (
    Agent,
    AsJson,
    CallbackUrl,
    Calls,
    Input,
    Metadata,
    Priority,
    Queue,
    Seconds,
    SessionId,
    Steps,
    Subject,
    SubjectScopes,
    SubjectTenant,
    Tokens,
    Ttl,
    Usd,
    budget_of,
    identity_of,
    parse_metadata,
    read_json,
)
from agent_tasks.errors import InvalidInput


class CatchUp(StrEnum):
    """What becomes of missed times."""

    ONE = "one"
    ALL = "all"
    NONE = "none"


_WHEN = "When (either --cron or --every)"


def schedule(
    agent: Agent,
    input: Input = None,
    cron: Annotated[
        str | None,
        typer.Option(rich_help_panel=_WHEN, metavar="FIELDS", help="Minute, hour, day, month, weekday: '0 3 * * *'."),
    ] = None,
    every: Annotated[
        float | None, typer.Option(rich_help_panel=_WHEN, metavar="SECONDS", help="The interval in seconds.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(rich_help_panel=_WHEN, metavar="NAME", help="The time zone of --cron, as in Europe/Berlin.")
    ] = "UTC",
    name: Annotated[
        str | None, typer.Option(help="The schedule's name; an existing one is replaced. Default: the agent's.")
    ] = None,
    catch_up: Annotated[
        CatchUp, typer.Option("--catch-up", help="What becomes of missed times: one for all of them, all, or none.")
    ] = CatchUp.ONE,
    subject: Subject = None,
    tenant: SubjectTenant = "",
    scope: SubjectScopes = None,
    budget_seconds: Seconds = None,
    budget_tokens: Tokens = None,
    budget_usd: Usd = None,
    budget_steps: Steps = None,
    budget_calls: Calls = None,
    session_id: SessionId = None,
    callback_url: CallbackUrl = None,
    queue: Queue = None,
    priority: Priority = 5,
    ttl: Ttl = None,
    metadata: Metadata = None,
    as_json: AsJson = False,
) -> None:
    """Submit a task to AGENT regularly. Times missed meanwhile are made up for as --catch-up says."""
    if (cron is None) == (every is None):
        raise InvalidInput("Say when: give either --cron 'FIELDS' or --every SECONDS.", field="cron")
    given = read_json(input, "input")
    kept = parse_metadata(metadata)
    budget = budget_of(budget_seconds, budget_tokens, budget_usd, budget_steps, budget_calls)
    identity = identity_of(subject, tenant, scope, "--subject")
    with deployment() as client:
        made = client.schedule(
            agent,
            given,
            name=name,
            cron=cron,
            every=every,
            timezone=timezone,
            budget=budget,
            catch_up=catch_up.value,
            identity=identity,
            session_id=session_id,
            callback_url=callback_url,
            queue=queue,
            priority=priority,
            ttl=ttl,
            metadata=kept,
        )
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
        return
    from agent_tasks.cli.schedules import next_time, rhythm

    typer.echo(f"{made.name}: {made.agent} {rhythm(made)}, next {next_time(made)}")

"""`agent-tasks submit`: accept a task, and wait for it where that is asked for."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import (
    AsJson,
    Calls,
    Seconds,
    Steps,
    Timeout,
    Tokens,
    Usd,
    Wait,
    budget_of,
    identity_of,
    parse_json,
)
from agent_tasks.errors import InvalidInput

_WHO = "Identity"


def submit(
    agent: Annotated[str, typer.Argument(help="The agent's name.")],
    input: Annotated[
        str | None, typer.Argument(metavar="[JSON|@FILE|-]", help="The first step's arguments; - reads stdin.")
    ] = None,
    subject: Annotated[str | None, typer.Option(rich_help_panel=_WHO, help="Who asks.")] = None,
    tenant: Annotated[str, typer.Option(rich_help_panel=_WHO, help="Their tenant.")] = "",
    scope: Annotated[list[str] | None, typer.Option(rich_help_panel=_WHO, help="A scope; repeatable.")] = None,
    budget_seconds: Seconds = None,
    budget_tokens: Tokens = None,
    budget_usd: Usd = None,
    budget_steps: Steps = None,
    budget_calls: Calls = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Same key and input within 24 h: same task.")] = None,
    session_id: Annotated[str | None, typer.Option(help="The conversation it belongs to.")] = None,
    callback_url: Annotated[str | None, typer.Option(help="Where to report its end.")] = None,
    queue: Annotated[str | None, typer.Option(help="Instead of the agent's own.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="9 is the most urgent.")] = 5,
    ttl: Annotated[float | None, typer.Option(help="Seconds until it is an orphan if nobody serves it.")] = None,
    metadata: Annotated[str | None, typer.Option(metavar="JSON", help="An object to keep with it.")] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Submit a task to AGENT and print its id."""
    given = parse_json(_read(input), "input") if input is not None else None
    kept = parse_json(metadata, "metadata") if metadata is not None else None
    if kept is not None and not isinstance(kept, dict):
        raise InvalidInput("The metadata must be a JSON object.", field="metadata")
    budget = budget_of(budget_seconds, budget_tokens, budget_usd, budget_steps, budget_calls)
    identity = identity_of(subject, tenant, scope, "--subject")
    with deployment() as client:
        task = client.submit(
            agent,
            given,
            budget=budget,
            identity=identity,
            idempotency_key=idempotency_key,
            session_id=session_id,
            callback_url=callback_url,
            queue=queue,
            priority=priority,
            ttl=ttl,
            metadata=kept,
        )
        report_submitted(task, wait=wait, timeout=timeout, as_json=as_json)


def report_submitted(task: Any, *, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Print the id and, with `wait`, what the task ended with; raises Failed where that is no result."""
    from agent_tasks.cli.text import pretty
    from agent_tasks.cli.watching import check_ended, watch_until_end

    if not wait:
        typer.echo(task.snapshot().model_dump_json(indent=2) if as_json else str(task.id))
        return
    if not as_json:
        typer.echo(str(task.id))
        sys.stdout.flush()
    ended = watch_until_end(task, timeout, on_stderr=True, lines=False)
    if as_json:
        typer.echo(ended.model_dump_json(indent=2))
    elif ended.result is not None:
        typer.echo(pretty(ended.result))
    check_ended(ended)


def _read(source: str) -> str:
    """Raises InvalidInput."""
    if source == "-":
        return sys.stdin.read()
    if not source.startswith("@"):
        return source
    try:
        return Path(source[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The input cannot be read: {error}", field="input") from None

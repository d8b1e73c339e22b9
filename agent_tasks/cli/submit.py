"""`agent-tasks submit`: accept a task, and wait for it if asked to."""

import sys
from typing import Annotated, Any

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
    Timeout,
    Tokens,
    Ttl,
    Usd,
    Wait,
    budget_of,
    identity_of,
    parse_metadata,
    read_json,
)


def submit(
    agent: Agent,
    input: Input = None,
    subject: Subject = None,
    tenant: SubjectTenant = "",
    scope: SubjectScopes = None,
    budget_seconds: Seconds = None,
    budget_tokens: Tokens = None,
    budget_usd: Usd = None,
    budget_steps: Steps = None,
    budget_calls: Calls = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Same key and input within 24 h: the same task.")] = None,
    session_id: SessionId = None,
    callback_url: CallbackUrl = None,
    queue: Queue = None,
    priority: Priority = 5,
    ttl: Ttl = None,
    metadata: Metadata = None,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Submit a task to AGENT and print its id."""
    given = read_json(input, "input")
    kept = parse_metadata(metadata)
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
    """Print the id and, with `wait`, how the task ended. Raises Failed unless that is a result."""
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

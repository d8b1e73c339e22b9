"""`agent-tasks resume`: continue an ended task from a checkpoint."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import (
    AsJson,
    AsScopes,
    AsSubject,
    AsTenant,
    CallbackUrl,
    Calls,
    Seconds,
    Steps,
    TaskId,
    Timeout,
    Tokens,
    Usd,
    Wait,
    budget_of,
    identity_of,
    read_json,
)


def resume(
    id: TaskId,
    from_step: Annotated[
        int | None,
        typer.Option("--from-step", min=0, metavar="N", help="Continue from this step, also of a completed task."),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="JSON", help="The arguments of that step, in place of the recorded ones: JSON, or @FILE."
        ),
    ] = None,
    budget_seconds: Seconds = None,
    budget_tokens: Tokens = None,
    budget_usd: Usd = None,
    budget_steps: Steps = None,
    budget_calls: Calls = None,
    callback_url: CallbackUrl = None,
    wait: Wait = False,
    timeout: Timeout = None,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Continue a task that ended early from its last checkpoint, as a new task, and print its id."""
    from agent_tasks.cli.submit import report_submitted

    budget = budget_of(budget_seconds, budget_tokens, budget_usd, budget_steps, budget_calls)
    identity = identity_of(as_subject, tenant, scope)
    edited = read_json(state, "--state")
    with deployment() as client:
        task = find_task(client, id, identity).resume(
            budget=budget, from_step=from_step, state=edited, callback_url=callback_url
        )
        report_submitted(task, wait=wait, timeout=timeout, as_json=as_json)

"""`agent-tasks watch`: a task on its way to its end."""

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, Timeout, identity_of


def watch(
    id: TaskId,
    timeout: Timeout = None,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Follow a task to its end, and print its result. --json prints a line for each change."""
    from agent_tasks.cli.text import pretty
    from agent_tasks.cli.watching import check_ended, watch_until_end

    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        ended = watch_until_end(find_task(client, id, identity), timeout, as_json=as_json)
    if not as_json and ended.result is not None:
        typer.echo(pretty(ended.result))
    check_ended(ended)

"""`agent-tasks watch`: a task on its way to its end."""

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, Timeout, identity_of


def watch(
    id: TaskId,
    timeout: Timeout = None,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Follow a task to its end: progress, step, status, budget spent. --json prints a line for each change."""
    from agent_tasks.cli.watching import check_ended, watch_until_end

    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        check_ended(watch_until_end(client.get(id, identity=identity), timeout, as_json=as_json))

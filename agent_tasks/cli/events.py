"""`agent-tasks events`: a task's history."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, Timeout, identity_of


def events(
    id: TaskId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the task has ended.")] = False,
    after: Annotated[int, typer.Option(min=0, metavar="N", help="Only events numbered above N.")] = 0,
    timeout: Timeout = None,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Print what happened to a task, in order; --json prints one object a line."""
    from agent_tasks.cli.text import compact

    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        for event in client.get(id, identity=identity).events(after=after, follow=follow, timeout=timeout):
            if as_json:
                line = event.model_dump_json()
            else:
                data = "" if event.data is None else f"  {compact(event.data)}"
                line = f"{event.seq:>4}  {event.at:%H:%M:%S.%f}"[:-3] + f"  {event.type:<10}{data}".rstrip()
            print(line, flush=True)

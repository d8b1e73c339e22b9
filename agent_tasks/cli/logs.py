"""`agent-tasks logs`: what a task's steps have logged."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, identity_of
from agent_tasks.client.logs import LogLine

_PAGE = 1000


def logs(
    id: TaskId,
    after: Annotated[int, typer.Option(min=0, metavar="N", help="Only records after number N.")] = 0,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Print what a task's steps have logged, where AGENT_TASKS_KEEP_LOGS keeps it. --json prints one object a line."""
    identity = identity_of(as_subject, tenant, scope)
    found = 0
    with deployment() as client:
        task = find_task(client, id, identity)
        while page := task.logs(after=after, limit=_PAGE):
            for line in page:
                print(line.model_dump_json() if as_json else _text(line), flush=True)
            found, after = found + len(page), page[-1].seq
    if not found and not as_json:
        print("Nothing is kept of it. AGENT_TASKS_KEEP_LOGS says how many records workers keep.", file=sys.stderr)


def _text(line: LogLine) -> str:
    from agent_tasks.cli.text import clock, printable

    said = "\n".join(printable(each) for each in f"{line.logger}: {line.message}".splitlines())
    return f"{line.seq:>4}  {clock(line.at)}  {line.level:<8}  {line.step}  {said}"

"""`agent-tasks events`: a task's history."""

import sys
import textwrap
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, Timeout, identity_of
from agent_tasks.task.event import Event

_MARGIN = 32


def events(
    id: TaskId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until the task ends.")] = False,
    after: Annotated[int, typer.Option(min=0, metavar="N", help="Only events after number N.")] = 0,
    timeout: Timeout = None,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Print a task's history. --json prints one object a line, with all its data."""
    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        for event in find_task(client, id, identity).events(after=after, follow=follow, timeout=timeout):
            print(event.model_dump_json() if as_json else _line(event), flush=True)


def _line(event: Event) -> str:
    """Return an event as text; on a terminal, broken into lines that fit."""
    from agent_tasks.cli.history import described
    from agent_tasks.cli.lines import terminal_width
    from agent_tasks.cli.text import clock

    line = f"{event.seq:>4}  {clock(event.at)}  {event.type:<10}  {described(event)}".rstrip()
    if not sys.stdout.isatty():
        return line
    return textwrap.fill(line, max(60, terminal_width()), subsequent_indent=" " * _MARGIN, drop_whitespace=True)

"""`agent-tasks pauses`: what is paused, since when, by whom and why."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson
from agent_tasks.client.pauses import Pause


def pauses(
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List what is paused, the newest first. --json prints one object a line."""
    with deployment() as client:
        found = client.pauses(ended=ended, limit=limit)
    for pause in found:
        print(pause.model_dump_json() if as_json else _line(pause))
    if not found and not as_json:
        print("Nothing is paused.")


def _line(pause: Pause) -> str:
    from agent_tasks.cli.text import printable

    until = f" to {pause.ended_at.astimezone():%Y-%m-%d %H:%M:%S}" if pause.ended_at else ""
    when = f"{pause.began_at.astimezone():%Y-%m-%d %H:%M:%S}{until}"
    return printable("  ".join(filter(None, (when, named(pause), f"by {pause.by}", pause.reason))))


def named(pause: Pause) -> str:
    """Return what is paused, as `queue slow` or `agent writer of the tenant acme`."""
    from agent_tasks.cli.text import printable

    whose = f" of the tenant {pause.tenant}" if pause.tenant and pause.kind in ("agent", "queue") else ""
    return printable(f"{pause.kind} {pause.name}{whose}")

"""The operations of `agent-tasks bulk`, each with the arguments that are its own."""

from typing import Annotated, Any

import typer

from agent_tasks.cli.bulk.filtered import filtered
from agent_tasks.cli.options import Calls, Seconds, Steps, Tokens, Usd, budget_of, read_json


def _cancel(
    reason: Annotated[str, typer.Option(help="The reason, kept with each task.")] = "cancelled by request",
) -> dict[str, Any]:
    """Cancel the tasks, and everything they have spawned."""
    return {"reason": reason}


def _resume(
    budget_seconds: Seconds = None,
    budget_tokens: Tokens = None,
    budget_usd: Usd = None,
    budget_steps: Steps = None,
    budget_calls: Calls = None,
) -> dict[str, Any]:
    """Continue tasks that ended early from their last checkpoints, as new tasks; those that were resumed stay."""
    return {"budget": budget_of(budget_seconds, budget_tokens, budget_usd, budget_steps, budget_calls)}


def _signal(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    payload: Annotated[
        str | None, typer.Argument(metavar="[JSON|@FILE|-]", help="What the steps receive. - reads stdin.")
    ] = None,
) -> dict[str, Any]:
    """Send a signal to those that wait for it now."""
    return {"name": name, "payload": read_json(payload, "payload")}


def _acknowledge() -> dict[str, Any]:
    """Say that the results were taken: the tasks are deleted after a tenth of the retention."""
    return {}


def _purge() -> dict[str, Any]:
    """Delete ended tasks and all below them now, with all that is kept of them. Children alone stay."""
    return {}


def _prioritise(
    priority: Annotated[int, typer.Argument(metavar="PRIORITY", min=0, max=9, help="0 to 9; 9 is the most urgent.")],
) -> dict[str, Any]:
    """Give the tasks that have not ended another priority."""
    return {"priority": priority}


def _move(to: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue to move them to.")]) -> dict[str, Any]:
    """Move the tasks that have not ended to another queue."""
    return {"to": to}


cancel = filtered("cancel", _cancel)
resume = filtered("resume", _resume)
signal = filtered("signal", _signal)
acknowledge = filtered("acknowledge", _acknowledge)
purge = filtered("purge", _purge)
prioritise = filtered("prioritise", _prioritise)
move = filtered("move", _move)

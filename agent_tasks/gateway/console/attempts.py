"""Attempts of steps, each on its own, with what went wrong in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_tasks.gateway.console.timeline import Span
from agent_tasks.task.snapshot import TaskSnapshot

_MOST = 50


@dataclass(frozen=True)
class Attempt:
    """A try of a step."""

    span: Span
    error: str
    """What went wrong; empty: nothing, or it is not shown."""
    is_last: bool
    """The task ended with it: its traceback is kept."""


def attempts(spans: Sequence[Span], task: TaskSnapshot, *, is_hidden: bool) -> list[Attempt]:
    """Return the tries of those steps that were tried more than once or went wrong, the latest first.

    `is_hidden`: errors are not shown, but for their type at the end of the task.
    """
    runs = [span for span in spans if span.kind == "run"]
    wanted = {span.step_number for span in runs if span.attempt > 1 or span.is_bad}
    last = runs[-1] if runs and task.error is not None else None
    found: list[Attempt] = []
    for span in reversed(runs):
        if span.step_number not in wanted:
            continue
        error = "" if is_hidden else span.error
        if span is last and task.error is not None and span.is_bad:
            error = str(task.error.type) if is_hidden else f"{task.error.type}: {task.error.message}"
        found.append(Attempt(span, error, span is last and span.is_bad))
    return found[:_MOST]

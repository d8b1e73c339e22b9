"""How times, amounts and tasks read in a terminal."""

import json
from datetime import UTC, datetime
from typing import Any

from agent_tasks.budgets import RESOURCES
from agent_tasks.snapshots import BudgetState, Progress, TaskSnapshot, WaitingFor

COLOURS = {
    "pending": "cyan",
    "running": "blue",
    "waiting": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "timeout": "red",
    "partial": "yellow",
}


def duration(seconds: float) -> str:
    """Two digits that matter: 0.4 s, 12 s, 3 min, 5 h, 2 d."""
    if abs(seconds) < 9.95:
        return f"{seconds:.1f} s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def since(moment: datetime) -> float:
    """Seconds from `moment` until now by this machine's clock; for the eye only."""
    return (datetime.now(UTC) - moment).total_seconds()


def amount(resource: str, value: float) -> str:
    if resource == "seconds":
        return duration(value)
    if resource == "usd":
        return f"{value:,.2f} usd"
    return f"{value:,} {resource.removesuffix('s') if value == 1 else resource}"


def budget_left(budget: BudgetState) -> str:
    """Of the limited resources only."""
    left = [(name, getattr(budget.remaining, name)) for name in RESOURCES]
    return " · ".join(amount(name, value) for name, value in left if value is not None) or "no limit"


def budget_spent(budget: BudgetState) -> str:
    """What was spent, each with its limit where it has one."""
    parts: list[str] = []
    for name in RESOURCES:
        spent, limit = getattr(budget.spent, name), getattr(budget.limit, name)
        if limit is not None:
            unit = "s" if name == "seconds" else name
            parts.append(f"{_number(name, spent)} of {_number(name, limit)} {unit}")
        elif spent:
            parts.append(amount(name, spent))
    return " · ".join(parts) or "nothing"


def progress_text(progress: Progress) -> str:
    counted = f"{progress.done:g}" + (f" of {progress.total:g}" if progress.total is not None else "")
    return f"{counted}: {progress.message}" if progress.message else counted


def waits_for(waiting: WaitingFor) -> str:
    """For what, since when, until when."""
    what = f"{waiting.kind} {waiting.name}" if waiting.name else waiting.kind
    until = f", for {duration(-since(waiting.until))} more at most" if waiting.until else ""
    return f"for {what} since {duration(since(waiting.since))}{until}"


def where(task: TaskSnapshot) -> str:
    """One phrase for what happens to the task now."""
    if task.waiting_for is not None:
        return waits_for(task.waiting_for)
    if task.worker is not None:
        return f"on {task.worker}" + (f", attempt {task.attempt}" if task.attempt > 1 else "")
    if task.error is not None:
        return f"{task.error.type}: {task.error.message}"
    return f"on queue {task.queue}" if not task.status.is_terminal else ""


def compact(value: Any, width: int | None = None) -> str:
    """JSON in one line, cut to `width`."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if width is None or len(text) <= width else text[: max(1, width - 1)] + "…"


def pretty(value: Any) -> str:
    """A result as it is printed: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _number(resource: str, value: float) -> str:
    return f"{value:,.2f}" if resource == "usd" else f"{value:,.1f}" if resource == "seconds" else f"{value:,}"

"""Times, amounts and tasks as text for a terminal."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agent_tasks.authoring.permissions import ANY, Declared
from agent_tasks.store.queries.calls import CostRow
from agent_tasks.task.budget import RESOURCES
from agent_tasks.task.snapshot import BudgetState, Progress, TaskSnapshot, WaitingFor

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
    """Return a duration with its two leading digits: 0.4 s, 12 s, 3 min, 5 h, 2 d."""
    if abs(seconds) < 9.95:
        return f"{seconds:.1f} s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(moment: datetime) -> str:
    """Return a time in twelve characters: the time of day if it was within a day, else the day."""
    if abs(since(moment)) < 86_400:
        return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
    return f"{moment:%b %d %H:%M}"


def since(moment: datetime) -> float:
    """Return the seconds from `moment` until now by this machine's clock; for display only."""
    return (datetime.now(UTC) - moment).total_seconds()


def amount(resource: str, value: float) -> str:
    if resource == "seconds":
        return duration(value)
    if resource == "usd":
        return f"{dollars(value)} usd"
    return f"{value:,} {resource.removesuffix('s') if value == 1 else resource}"


def dollars(value: float) -> str:
    """Return an amount with every digit, and at least two decimals: many calls of models cost less than a cent."""
    whole, _, part = f"{Decimal(str(value)):,f}".partition(".")
    return f"{whole}.{part.rstrip('0'):0<2}"


def budget_left(budget: BudgetState, between: str = " · ") -> str:
    """Return what is left of the limited resources."""
    left = [(name, getattr(budget.remaining, name)) for name in RESOURCES]
    return between.join(amount(name, value) for name, value in left if value is not None) or "no limit"


def budget_reserved(budget: BudgetState, between: str = " · ") -> str:
    """Return what living children have reserved; empty if nothing."""
    reserved = [(name, getattr(budget.reserved, name)) for name in RESOURCES]
    return between.join(amount(name, value) for name, value in reserved if value)


def budget_spent(budget: BudgetState) -> str:
    """Return what was spent of each resource, with its limit if it has one."""
    return " · ".join(spent_parts(budget)) or "nothing"


def call_costs(costs: Sequence[CostRow]) -> list[str]:
    """Return what the calls of each name have cost."""
    return [_call_cost(row) for row in costs]


def _call_cost(row: CostRow) -> str:
    times = f" ×{row['calls']}" if row["calls"] > 1 else ""
    parts = {"tokens": row["tokens"], "usd": row["usd"]}
    spent = ", ".join(amount(resource, value) for resource, value in parts.items() if value)
    return f"{printable(row['name'])}{times}: {spent}"


def spent_parts(budget: BudgetState, names: Sequence[str] = RESOURCES) -> list[str]:
    parts: list[str] = []
    for name in names:
        spent, limit = getattr(budget.spent, name), getattr(budget.limit, name)
        if limit is not None:
            unit = "s" if name == "seconds" else name
            parts.append(f"{_number(name, spent)} of {_number(name, limit)} {unit}")
        elif spent:
            parts.append(amount(name, spent))
    return parts


def progress_text(progress: Progress) -> str:
    """Return the progress as text: 5 of 10: reading."""
    counted = f"{progress.done:g}" + (f" of {progress.total:g}" if progress.total is not None else "")
    return f"{counted}: {printable(progress.message)}" if progress.message else counted


def waits_for(waiting: WaitingFor) -> str:
    """Return what a task waits for, since when, and until when."""
    phrase = f"for {awaited(waiting)}, {duration(since(waiting.since))} so far"
    return ", ".join(filter(None, [phrase, time_left(waiting)]))


def awaited(waiting: WaitingFor) -> str:
    """Return what is waited for: signal approval, any of the signals a, b, 5 children, a timer, the next attempt."""
    names = [printable(name) for name in waiting.names or [waiting.name or ""]]
    match waiting.kind:
        case "signal" if len(names) == 1:
            return f"signal {names[0]}"
        case "signal":
            return f"{'all' if waiting.mode == 'all' else 'any'} of the signals {', '.join(names)}"
        case "children":
            return "1 child" if waiting.name == "1 children" else waiting.name or "children"
        case "retry":
            return f"the next attempt of {names[0]}"
        case _:
            return f"a {waiting.kind}"


def time_left(waiting: WaitingFor) -> str:
    """Return until when the wait lasts at most, or when it is due; empty if it has no end."""
    if waiting.until is None:
        return ""
    left = -since(waiting.until)
    if left <= 0:
        return f"due {duration(-left)} ago"
    return f"due in {duration(left)}" if waiting.kind in ("timer", "retry") else f"at most {duration(left)} more"


def where(task: TaskSnapshot) -> str:
    """Return one phrase for what happens to the task now."""
    if task.waiting_for is not None:
        return waits_for(task.waiting_for)
    if task.worker is not None:
        return f"on {task.worker}" + (f", attempt {task.attempt}" if task.attempt > 1 else "")
    if task.error is not None:
        return f"{task.error.type}: {printable(task.error.message)}"
    return f"on queue {task.queue}" if not task.status.is_terminal else ""


def unserved(task: TaskSnapshot) -> str:
    """Return why nobody runs the task's step, and what to do; empty if somebody does."""
    return f"{task.unserved.message} {task.unserved.action}" if task.unserved else ""


def paused(task: TaskSnapshot) -> str:
    """Return since when the task is paused, by whom and why, and what of it was paused; empty if nothing is."""
    if (found := task.paused) is None:
        return ""
    what = "" if found.name == str(task.id) else f" (the {found.kind} {found.name})"
    why = f": {found.reason}" if found.reason else ""
    return printable(f"paused {duration(since(found.since))} ago by {found.by}{why}{what}")


def printable(text: str) -> str:
    """Return the text on one line, and without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else " " for c in text)


def compact(value: Any, width: int | None = None) -> str:
    """Return JSON on one line, cut to `width`."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if width is None or len(text) <= width else text[: max(1, width - 1)] + "…"


def pretty(value: Any) -> str:
    """Return a result as it is printed: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _number(resource: str, value: float) -> str:
    return dollars(value) if resource == "usd" else f"{value:,.1f}" if resource == "seconds" else f"{value:,}"


def declarations(declared: Declared) -> dict[str, str]:
    """Return an agent's goal, tools and scopes, as far as it declares any."""
    found = {
        "goal": declared.goal or "",
        "tools": "" if ANY in declared.tools else ", ".join(declared.tools) or "none",
        "scopes": ", ".join(declared.scopes),
    }
    return {name: printable(text) for name, text in found.items() if text}

"""*Schedules*: what is submitted again and again, and when next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent_tasks.client.schedules import Schedule, next_time
from agent_tasks.gateway.console.templates import duration
from agent_tasks.gateway.console.visitor import Look

_FIRINGS = 5


@dataclass(frozen=True)
class Shown:
    """A schedule, and when it comes."""

    schedule: Schedule
    rhythm: str
    firings: list[datetime]


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    return {"schedules": [_shown(each) for each in look.client.schedules(identity=look.caller.viewer)]}


def _shown(schedule: Schedule) -> Shown:
    firings = [schedule.next_at]
    while len(firings) < _FIRINGS:
        last = firings[-1]
        firings.append(next_time(schedule.cron, schedule.every_seconds, schedule.timezone, last, last))
    rhythm = f"{schedule.cron} ({schedule.timezone})" if schedule.cron else f"every {duration(schedule.every_seconds)}"
    return Shown(schedule, rhythm, firings)

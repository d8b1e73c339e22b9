"""The ticks of our sweeps among the tasks of a team's app: how they are named, and that they fill no log."""

import logging
from collections.abc import Mapping

from agent_tasks.sweeps.application import NAMES

PREFIX = "agent_tasks"
"""What the tasks of our sweeps are named with."""

_OURS = (f"{PREFIX}.", *(f"beat.{name}" for name in NAMES))


def hide_ticks(*loggers: str) -> None:
    """Keep the everyday lines about ticks, several a second, out of these logs of Celery's; others are as they were."""
    for name in loggers:
        logging.getLogger(name).addFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    """Whether a line is not one of Celery's about a tick that is sent, taken or done."""
    said = record.args
    names = (said.get("name"),) if isinstance(said, Mapping) else said or ()
    ticks = (name for name in names if isinstance(name, str) and name.startswith(_OURS))
    return record.levelno > logging.INFO or not any(ticks)

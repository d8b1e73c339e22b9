"""Times that are given on the command line: as they are, or how long ago."""

import re
from datetime import datetime, timedelta

from agent_tasks.errors import InvalidInput

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
HOW = "2026-11-27T09:00:00Z, or how long ago: 90s, 30min, 2h, 7d"


def moment(text: str | None, option: str) -> datetime | timedelta | None:
    """Return the time, or how long ago; None for None. Raises InvalidInput."""
    if text is None:
        return None
    if (ago := _AGO.fullmatch(text.strip())) is not None:
        try:
            return timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        except OverflowError:
            raise _refused(text, option) from None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _refused(text, option) from None
    return at if at.tzinfo is not None else at.astimezone()


def _refused(text: str, option: str) -> InvalidInput:
    return InvalidInput(
        f"{option} takes a time, as {HOW}; not {text[:80]!r}.", field=option.strip("-").replace("-", "_")
    )

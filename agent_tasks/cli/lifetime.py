"""Times as people write them: 90d, 12h, 30m."""

import re

from agent_tasks.errors import InvalidInput

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


def lifetime(text: str, option: str) -> float:
    """Return the seconds that a text like 90d, 12h or 30m means. Raises InvalidInput."""
    found = re.fullmatch(r"(\d{1,10}(?:\.\d{1,10})?)\s*([smhdw])", text.strip().lower(), re.ASCII)
    if found is None:
        raise InvalidInput(
            f"--{option} takes a number and a unit, as in 90d (s, m, h, d or w), not {text!r}.", field=option
        )
    return float(found[1]) * _UNITS[found[2]]

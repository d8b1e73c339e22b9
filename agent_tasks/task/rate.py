"""Rates: so many of something in so much time."""

import re
from dataclasses import dataclass
from typing import Self

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(rf"\s*([0-9]{{1,7}})\s*/\s*({'|'.join(_UNITS)})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Rate:
    """`quota` in `seconds`, all of which may come at once."""

    quota: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `600/minute`, say. Raises ValueError that says how it is written."""
        found = _RATE.fullmatch(text)
        if found is None or not int(found[1]):
            units = ", ".join(_UNITS)
            raise ValueError(f"{text!r} is no rate: write a number above zero and a unit ({units}), as in 600/minute")
        return cls(int(found[1]), _UNITS[found[2].lower()])

    def __str__(self) -> str:
        unit = next(name for name, seconds in _UNITS.items() if seconds == self.seconds)
        return f"{self.quota}/{unit}"

"""What is asked for in the address of *Tasks*, as a filter, and back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.console.visitor import Query
from agent_tasks.task.task_filter import TaskFilter, pairs

_TEXTS = ("status", "agent", "step", "queue", "tenant", "subject", "session_id", "error_type", "text")
_TIMES = ("created_after", "created_before", "ended_after", "ended_before")
FIELDS = (*_TEXTS, *_TIMES, "metadata")
"""The names of the form's fields."""
_USUAL = {"status", "agent", "text", "created_after"}
_AGO = re.compile(r"([0-9]{1,4}) ?(min|h|d)")
_UNITS = {"min": "minutes", "h": "hours", "d": "days"}
_NO_TENANT = "-"
"""In an address, tasks of no tenant: a field that is empty asks for nothing."""


@dataclass(frozen=True)
class Asked:
    """The fields of the form as they were given, and the filter that they are."""

    given: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, query: Query) -> "Asked":
        """Return what an address asks for; other names in it are ignored."""
        return cls({name: query[name][0].strip() for name in FIELDS if name in query and query[name][0].strip()})

    @property
    def filter(self) -> TaskFilter:
        """Raises InvalidInput that names the field."""
        return TaskFilter(**dict(self._fields()))

    @property
    def is_unusual(self) -> bool:
        """Whether a field is given that the form shows only when it is asked to."""
        return not self.given.keys() <= _USUAL

    def _fields(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.given.items():
            if name in _TIMES:
                yield name, moment(value, name)
            elif name == "metadata":
                yield name, pairs(value.split())
            elif name == "tenant" and value == _NO_TENANT:
                yield name, ""
            else:
                yield name, value

    def address(self, **other: str) -> str:
        """The part of an address behind the `?`, with other values for some names; an empty one takes it out."""
        fields = {**self.given, **other}
        return urlencode({name: value for name, value in fields.items() if value})


def moment(value: str, name: str) -> datetime | timedelta:
    """Return a time in UTC, or how long ago: `2h`. Raises InvalidInput that names the field."""
    if found := _AGO.fullmatch(value):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput(f"{name} must be a time, as 2026-11-28T14:30, or how long ago, as 2h.", field=name) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)

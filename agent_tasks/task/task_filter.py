"""TaskFilter: which tasks are meant, by a search or a bulk operation."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, TypedDict

from agent_tasks.errors import ErrorType, InvalidInput
from agent_tasks.task.arguments import check_kind, check_names, check_text, is_storable, refused
from agent_tasks.task.status import TaskStatus

Moment = datetime | timedelta
"""A time with its time zone; or how long ago, by the database's clock."""
Scalar = str | int | float | bool
LONGEST_KEY = 16_384
MOST_PAIRS = 8
_LONGEST_TEXT = 1_000
_ID = re.compile(r"[0-9a-fA-F-]{8,36}")
_MOMENTS = ("created_after", "created_before", "ended_after", "ended_before")
_EARLIEST, _LATEST = 1, 9_998
"""Years: times beyond are not ones that a zone can be added to."""


class Asked(TypedDict, total=False):
    """The fields of a `TaskFilter`, as `AgentTasks.search` takes them."""

    status: TaskStatus | str | None
    agent: str | None
    step: str | None
    queue: str | None
    tenant: str | None
    subject: str | None
    session_id: str | None
    error_type: ErrorType | str | None
    created_after: Moment | None
    created_before: Moment | None
    ended_after: Moment | None
    ended_before: Moment | None
    metadata: Mapping[str, Scalar] | None
    text: str | None


@dataclass(frozen=True)
class TaskFilter:
    """Tasks of which all that is given is true; with nothing given, all tasks. Raises InvalidInput."""

    status: TaskStatus | str | None = None
    agent: str | None = None
    step: str | None = None
    """The step that the task is at, or that it ended at."""
    queue: str | None = None
    tenant: str | None = None
    """Empty: of no tenant."""
    subject: str | None = None
    session_id: str | None = None
    error_type: ErrorType | str | None = None
    """The type of the error that it ended with."""
    created_after: Moment | None = None
    """At this time or later; a timedelta is how long ago."""
    created_before: Moment | None = None
    """Earlier than this."""
    ended_after: Moment | None = None
    """At this time or later; of tasks that have ended."""
    ended_before: Moment | None = None
    """Earlier than this; of tasks that have ended."""
    metadata: Mapping[str, Scalar] | None = field(default=None, hash=False)
    """Keys and values at the top of the metadata, at most 8; a value is compared as text: 7 is "7"."""
    text: str | None = None
    """The beginning of an id, from 8 digits on; or words of the error's type and message, of which the last may be the
    beginning of one. Words are looked for as they are: there are no patterns."""

    def __post_init__(self) -> None:
        if self.status is not None and self.status not in tuple(TaskStatus):
            raise refused(f"status must be one of {', '.join(TaskStatus)}", self.status, "status")
        if self.error_type is not None and self.error_type not in tuple(ErrorType):
            raise refused(f"error_type must be one of {', '.join(ErrorType)}", self.error_type, "error_type")
        check_names(agent=self.agent, step=self.step, queue=self.queue, tenant=self.tenant, subject=self.subject)
        check_kind(self.session_id, "session_id", str, "text")
        if self.session_id is not None and not is_storable(self.session_id):
            raise refused("session_id must have no NUL character and no lone surrogate", self.session_id, "session_id")
        for name in _MOMENTS:
            check_moment(getattr(self, name), name)
        _check_span(self.created_after, self.created_before, "created_after", "created_before")
        _check_span(self.ended_after, self.ended_before, "ended_after", "ended_before")
        _check_metadata(self.metadata)
        if self.text is not None:
            check_text(self.text, "text", _LONGEST_TEXT)
            if not any(c.isalnum() for c in self.text):
                raise refused("text must have a letter or a digit to look for", self.text, "text")

    def as_dict(self) -> dict[str, Any]:
        """What is given, as JSON; times must have been settled before."""
        found = {each.name: value for each in fields(self) if (value := getattr(self, each.name)) not in (None, {})}
        moments = {name: found.pop(name).isoformat() for name in _MOMENTS if name in found}
        return {**{name: dict(value) if name == "metadata" else str(value) for name, value in found.items()}, **moments}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "TaskFilter":
        """Return what `as_dict` has made."""
        given: dict[str, Any] = dict(kept)
        given |= {name: datetime.fromisoformat(given[name]) for name in _MOMENTS if name in given}
        return cls(**given)

    @property
    def is_empty(self) -> bool:
        """Whether it is true of all tasks."""
        return all(getattr(self, each.name) in (None, {}) for each in fields(self))

    @property
    def is_of_ended(self) -> bool:
        """Whether it names a time of the end, by which what it finds is ordered."""
        return self.ended_after is not None or self.ended_before is not None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The metadata's keys and values, as text."""
        return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in self._metadata]

    @property
    def id_digits(self) -> str | None:
        """The text, where it begins an id, as hexadecimal digits."""
        if self.text is None or _ID.fullmatch(self.text.strip()) is None:
            return None
        digits = self.text.strip().replace("-", "").lower()
        return digits if 8 <= len(digits) <= 32 else None

    @property
    def words(self) -> str | None:
        """The text, where it is looked for in errors."""
        return self.text if self.id_digits is None else None

    @property
    def _metadata(self) -> list[tuple[str, Scalar]]:
        return sorted((self.metadata or {}).items())


def one_filter(given: TaskFilter | None, asked: Asked) -> TaskFilter:
    """Return the filter that was given, whole or by its fields. Raises InvalidInput for both."""
    check_kind(given, "filter", TaskFilter, "a TaskFilter")
    if given is None:
        return TaskFilter(**asked)
    if asked:
        raise InvalidInput(f"give a filter, or {', '.join(asked)}, not both", field="filter")
    return given


def pairs(given: Sequence[str] | None) -> dict[str, str] | None:
    """Return KEY=VALUE as keys and values. Raises InvalidInput where there is no `=`."""
    found: dict[str, str] = {}
    for each in given or ():
        key, separator, value = each.partition("=")
        if not separator:
            raise InvalidInput(f"metadata takes KEY=VALUE, as in ticket=7; not {each[:80]!r}.", field="metadata")
        found[key] = value
    return found or None


def check_moment(value: Moment | None, name: str) -> None:
    check_kind(value, name, Moment, "a datetime with a time zone, or a timedelta: how long ago")  # type: ignore[arg-type]
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise refused(f"{name} must have a time zone, as in 2026-11-27T09:00:00Z", value.isoformat(), name)
        if not _EARLIEST < value.year < _LATEST:
            raise refused(f"{name} must be a time of the years 2 to 9997", value, name)
    if isinstance(value, timedelta) and not timedelta(0) <= value <= timedelta(days=36_500):
        raise refused(f"{name} must be from no time to a hundred years ago", value, name)


def _check_span(after: Moment | None, before: Moment | None, name: str, other: str) -> None:
    """Raise InvalidInput where a span ends before it begins; of a time and how long ago, the database's clock knows."""
    is_over = isinstance(after, datetime) and isinstance(before, datetime) and after > before
    if is_over or (isinstance(after, timedelta) and isinstance(before, timedelta) and after < before):
        raise InvalidInput(f"{name} must be earlier than {other}: no task is of such a span.", field=name)


def _check_metadata(given: Mapping[str, Scalar] | None) -> None:
    check_kind(given, "metadata", Mapping, "a mapping of keys to values")
    if given is None:
        return
    if len(given) > MOST_PAIRS:
        raise InvalidInput(f"metadata must have at most {MOST_PAIRS} keys, not {len(given):,}", field="metadata")
    for key, value in given.items():
        check_text(key, "metadata", LONGEST_KEY)
        if not isinstance(value, Scalar):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise refused(f"metadata's {key[:40]!r} must be text, a number, True or False", value, "metadata")
        if isinstance(value, str) and not (len(value) <= LONGEST_KEY and is_storable(value)):
            raise refused(
                f"metadata's {key[:40]!r} must have at most {LONGEST_KEY:,} characters, and none that is NUL or a lone "
                "surrogate",
                value,
                "metadata",
            )

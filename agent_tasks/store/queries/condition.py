"""What a `TaskFilter` is in SQL: the conditions on `tasks`, and the indexes along which they can be followed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.indexed import ERROR_TEXT, SKEWED
from agent_tasks.task.identity import Identity
from agent_tasks.task.task_filter import TaskFilter

OF_SESSION: LiteralString = "left(session_id, 256) = left(%(session_id)s::text, 256)"
"""Found by the index, which has no more of it."""
_MOMENTS = ("created_after", "created_before", "ended_after", "ended_before")
NEWEST = UUID(int=2**128 - 1)
OLDEST = UUID(int=0)
_SKEW = timedelta(seconds=61)
_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST = 2**48 - 1
MOST_SKEWED = 10_000
"""Tasks whose ids do not tell when they were created, of a range, that are looked at for where they lie."""

# Words as they are, never a query that somebody wrote: the last may be the beginning of one.
_WORDS: LiteralString = """
    (SELECT CASE WHEN numnode(words) > 0 THEN (words::text || ':*')::tsquery ELSE words END
    FROM plainto_tsquery('simple'::regconfig, %(words)s) AS words)
"""

_CONDITIONS: dict[str, LiteralString] = {
    "status": "tasks.status = %(status)s",
    "agent": "tasks.agent = %(agent)s",
    "step": "tasks.step = %(step)s",
    "queue": "tasks.queue = %(queue)s",
    "tenant": "tasks.tenant = %(tenant)s",
    "subject": "tasks.identity IS NOT NULL AND tasks.identity ->> 'subject' = %(subject)s",
    "session_id": f"{OF_SESSION} AND session_id = %(session_id)s",
    "error_type": "tasks.error IS NOT NULL AND tasks.error ->> 'type' = %(error_type)s",
    "created_after": "tasks.created_at >= %(created_after)s",
    "created_before": "tasks.created_at < %(created_before)s",
    "ended_after": "tasks.finished_at >= %(ended_after)s",
    "ended_before": "tasks.finished_at < %(ended_before)s",
    "words": f"tasks.error ->> 'message' IS NOT NULL AND {ERROR_TEXT} @@ {_WORDS}",  # that of their index alone
    "viewer_tenant": "tasks.identity IS NOT NULL AND tasks.tenant = %(viewer_tenant)s",
    "viewer": "tasks.identity ->> 'subject' = %(viewer)s",
}
_PAIRS: tuple[LiteralString, ...] = ("0", "1", "2", "3", "4", "5", "6", "7")
_LABEL: LiteralString = """
    labels.key = "left"(%(key_{n})s::text, 128) AND labels.value = "left"(%(value_{n})s::text, 256)
"""
# Of all the keys and values only so much is in the index, and only so many are.
_LABELLED: LiteralString = """
    EXISTS (SELECT FROM agent_tasks.labels WHERE labels.task_id = tasks.id AND {label} OFFSET 0)
"""
_IN_ORDER: LiteralString = " AND {id} < %(below)s AND {id} >= %(above)s"


@dataclass(frozen=True)
class Way:
    """An index along which the tasks of a condition are found, the newest first."""

    of: LiteralString
    """The name of the condition that all of them fulfil."""
    condition: LiteralString
    rows_from: LiteralString = "agent_tasks.tasks"
    ids_from: LiteralString = "agent_tasks.tasks"
    id: LiteralString = "tasks.id"
    is_ordered: bool = True
    """False where the index has no order: only few tasks are found by it, all of them together."""


class _BoundsRow(TypedDict):
    now: datetime
    low: UUID | None
    high: UUID | None
    skewed: int


_NOW = "SELECT clock_timestamp() AS now"
_SKEWED_IN = f"""
    WITH found AS MATERIALIZED (
        SELECT id FROM agent_tasks.tasks
        WHERE {SKEWED} AND created_at >= %(created_after)s AND created_at < %(created_before)s
        ORDER BY created_at LIMIT %(most)s
    )
    SELECT (SELECT count(*) FROM found) AS skewed, (SELECT id FROM found ORDER BY id LIMIT 1) AS low,
        (SELECT id FROM found ORDER BY id DESC LIMIT 1) AS high
"""


class Condition:
    """A filter, and whom the tasks must be for, as SQL with its values."""

    def __init__(self, wanted: TaskFilter, identity: Identity | None) -> None:
        self.wanted = wanted
        self.identity = identity
        self.values: dict[str, Any] = {"below": NEWEST, "above": OLDEST}
        self.parts: dict[str, LiteralString] = {}
        """By name: what must be true of a row of `tasks`."""
        for name, value in self._given():
            self.values[name] = value
            self.parts[name] = _CONDITIONS[name]
        for number, (key, value) in zip(_PAIRS, wanted.pairs, strict=False):
            self.values |= {f"key_{number}": key, f"value_{number}": value}
            self.parts[f"label_{number}"] = _LABELLED.format(label=_LABEL.format(n=number))
            self.parts[f"metadata_{number}"] = f"tasks.metadata ->> %(key_{number})s::text = %(value_{number})s::text"
        if wanted.id_digits is not None:
            self._narrow(UUID(wanted.id_digits.ljust(32, "0")), UUID(wanted.id_digits.ljust(32, "f")))

    def _given(self) -> Iterator[tuple[str, Any]]:
        wanted = self.wanted
        if self.identity is not None:
            yield "viewer_tenant", self.identity.tenant
            if "tasks:all" not in self.identity.scopes:
                yield "viewer", self.identity.subject
        plain = ("agent", "step", "queue", "tenant", "subject", "session_id", "words")
        for name in (*plain, "created_after", "created_before", "ended_after", "ended_before"):
            if getattr(wanted, name) is not None:
                yield name, getattr(wanted, name)
        for name in ("status", "error_type"):
            if getattr(wanted, name) is not None:
                yield name, str(getattr(wanted, name))

    def settle(self, connection: Connection) -> None:
        """Turn how long ago something was into times, and times of creation into bounds of ids."""
        if any(isinstance(value, timedelta) for value in self.values.values()):
            row = connection.execute(_NOW).fetchone()
            assert row is not None
            ago = {name: row["now"] - value for name, value in self.values.items() if isinstance(value, timedelta)}
            self.values |= ago
        if "created_after" in self.parts or "created_before" in self.parts:
            since: datetime = self.values.get("created_after", _EPOCH)
            until: datetime = self.values.get("created_before", _EPOCH.replace(year=9_000))
            values = {"created_after": since, "created_before": until, "most": MOST_SKEWED}
            found: _BoundsRow | None = connection.execute(_SKEWED_IN, values, prepare=False).fetchone()
            assert found is not None
            if found["skewed"] >= MOST_SKEWED:  # there may be more, anywhere: each row is looked at
                return
            low, high = _first_id(since - _SKEW), _first_id(until + _SKEW)
            if found["low"] is not None and found["high"] is not None:
                low, high = min(low, found["low"]), max(high, found["high"])
            self._narrow(low, high)

    def _narrow(self, low: UUID, high: UUID) -> None:
        after_high = UUID(int=min(high.int + 1, NEWEST.int))
        self.values["above"] = max(self.values["above"], low)
        self.values["below"] = min(self.values["below"], after_high)

    def ways(self) -> list[Way]:
        """The indexes by which the tasks can be found, those first that mostly pass over more."""
        return list(self._ways())

    def _ways(self) -> Iterator[Way]:
        for name in ("session_id", "error_type"):
            if name in self.parts:
                yield _along(name, self.parts[name])
        if "words" in self.parts:
            yield Way("words", self.parts["words"], is_ordered=False)
        for number in _PAIRS[: len(self.wanted.pairs)]:
            yield _labelled(number)
        if "viewer" in self.parts:
            yield _along("viewer", f"{self.parts['viewer_tenant']} AND {self.parts['viewer']}")
        if "subject" in self.parts and "tenant" in self.parts:
            yield _along("subject", f"{self.parts['tenant']} AND {self.parts['subject']}")
        elif "subject" in self.parts:
            yield Way("subject", self.parts["subject"], is_ordered=False)
        for name in ("step", "agent", "queue", "status"):
            if name in self.parts:
                yield _along(name, self.parts[name])
        if "viewer_tenant" in self.parts and "viewer" not in self.parts:
            yield _along("viewer_tenant", self.parts["viewer_tenant"])
        if self.wanted.tenant:  # who is of no tenant may be without an identity, too
            yield _along("tenant", f"tasks.identity IS NOT NULL AND {self.parts['tenant']}")

    def asked(self, way: Way) -> LiteralString:
        """What a row that was found along this way must fulfil besides."""
        return anded(part for name, part in self.parts.items() if name != way.of)


def settled(connection: Connection, wanted: TaskFilter) -> TaskFilter:
    """Return the same filter with times for how long ago something was, by the database's clock."""
    ago = {name: value for name in _MOMENTS if isinstance(value := getattr(wanted, name), timedelta)}
    if not ago:
        return wanted
    row = connection.execute(_NOW).fetchone()
    assert row is not None
    return replace(wanted, **{name: row["now"] - value for name, value in ago.items()})


def anded(parts: Iterable[LiteralString]) -> LiteralString:
    """Conditions after another one, all of which must be true."""
    sql: LiteralString = ""
    for part in parts:
        sql = sql + " AND " + part
    return sql


def _along(name: LiteralString, condition: LiteralString) -> Way:
    return Way(name, condition + _IN_ORDER.format(id="tasks.id"))


def _labelled(number: LiteralString) -> Way:
    label = _LABEL.format(n=number)
    return Way(
        f"label_{number}",
        label + _IN_ORDER.format(id="labels.task_id"),
        rows_from="agent_tasks.labels, LATERAL (SELECT * FROM agent_tasks.tasks WHERE id = task_id OFFSET 0) AS tasks",
        ids_from="agent_tasks.labels",
        id="labels.task_id",
    )


EVERY = _along("", "true")
"""All tasks."""
WITH_ERRORS = _along("", "tasks.error IS NOT NULL")
"""All that ended with an error."""


def _first_id(at: datetime) -> UUID:
    """The first id that is made at this time."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), _LAST) << 80)

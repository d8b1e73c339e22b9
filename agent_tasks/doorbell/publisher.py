"""What follows a commit: mirror and bells, in one pipelined round trip where they are on one Redis. It may fail."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from uuid import UUID

import redis
from redis.client import Pipeline

from agent_tasks import metrics
from agent_tasks.doorbell.bells import Bells
from agent_tasks.doorbell.line import Write, bounded
from agent_tasks.doorbell.mirror import Mirror, key
from agent_tasks.doorbell.raw_bells import RawBells
from agent_tasks.doorbell.redis_url import RedisUrl
from agent_tasks.doorbell.unsent import UnsentBells
from agent_tasks.doorbell.words import Words
from agent_tasks.settings import Settings
from agent_tasks.task.row import BellRow, TaskRow
from agent_tasks.task.signing import fingerprints
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.tracing.spans import Spans

STOP_CHANNEL = "agent-tasks:stop"
"""The channel on which workers hear that a step is to stop, by task and run, since its task was ended from outside;
a task alone means that its undo function is to finish soon."""
_FIRST_VERSION = 1
_MANY = 50
"""Rows of which it is asked first whether anybody looks at them."""
log = logging.getLogger(__name__)


def connect(settings: Settings) -> "redis.Redis":
    """Return a client for the Redis of the settings."""
    return RedisUrl(settings.redis_url).client(**bounded())


class Publisher:
    """Publishes rows that a transition returned: their mirror, and a bell for each that is pending."""

    def __init__(
        self,
        keys: Sequence[bytes],
        bells: Bells,
        mirror: Mirror | None,
        words: Words | None = None,
        after_first_bell: Callable[[], None] | None = None,
        *,
        spans: Spans | None = None,
    ) -> None:
        """Create a publisher; the first of `keys` signs, all of them verify.

        `mirror`: None if there is no Redis; then `words` reach those who listen on Postgres. `after_first_bell` is
        called once, in whatever thread rings. `spans`: of tasks that end.
        """
        self._spans = spans
        self.keys = tuple(keys)
        self.bells = bells
        self.mirror = mirror
        self._words = words
        self._after_first_bell = after_first_bell
        self._added = (
            bells.add if isinstance(bells, RawBells) and mirror is not None and bells.line is mirror.line else None
        )
        """What adds a bell, if bells go with the mirror in one round trip."""
        self._unsent = UnsentBells(bells.ring)

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints that tell the keys apart, in their order."""
        return tuple(fingerprints(self.keys))

    def publish(self, rows: Iterable[TaskRow], *, bells: Sequence[BellRow] = ()) -> bool:
        """Publish the rows; return True if all was taken. False costs nothing but time: this process rings the
        bells when the broker is back, or the sweep does.

        A row that `was` running belongs to a task that was ended from outside: its run is told to stop, before
        any bell. Rows in `bells` are only rung.
        """
        rows = list(rows)
        self._note_ends(rows)
        due = [*(row for row in rows if row["status"] == "pending"), *bells]
        if due and self._after_first_bell is not None:
            self._after_first_bell, then = None, self._after_first_bell
            then()
        writes: list[Write] = [(self._stop, row) for row in rows if row.get("was") == "running"]
        writes += self._shown(rows)
        if self._added is None:
            taken, rung = self._send(writes), self.bells.ring(due, self._unsent.keep)
            self._say(rows)
            return not taken and rung
        unmade = self._send(writes + [(self._added, row) for row in due])
        self._unsent.keep([row for write, row in unmade if write == self._added])
        return not unmade

    def hurry(self, task_id: UUID) -> bool:
        """Tell the undo function that runs for this task to finish soon."""
        if self._words is not None:
            self._words.tell([(STOP_CHANNEL, str(task_id))])
        return not self._send([(self._hurry, task_id)])

    def show(self, rows: Iterable[TaskRow]) -> bool:
        """Update the mirror alone; otherwise as `publish`."""
        return not self._send(self._shown(rows))

    def tell_of(self, task_ids: Iterable[UUID]) -> bool:
        """Send word that these tasks have changed, where nothing of them is mirrored; False where there is a mirror."""
        if self._words is not None:
            self._words.tell([(key(task_id), "") for task_id in task_ids])
        return self._words is not None

    def close(self) -> None:
        """Close, leaving the bells that could not be rung to the sweep."""
        self._unsent.close()
        if self._words is not None:
            self._words.close()

    def _note_ends(self, rows: Iterable[TaskRow]) -> None:
        for row in rows:
            if row["finished_at"] is not None and row["acknowledged_at"] is None:  # it has ended just now
                seconds = (row["finished_at"] - row["created_at"]).total_seconds()
                metrics.TASK_SECONDS.labels(row["agent"], row["status"]).observe(seconds)
                error = row["error"]["type"] if row["error"] else ""
                metrics.ENDED.labels(row["agent"], row["status"], error).inc()
                if self._spans is not None:
                    self._spans.ended(row)

    def _say(self, rows: Sequence[TaskRow]) -> None:
        if self._words is not None:
            stops = [(STOP_CHANNEL, f"{row['id']} {row['run']}") for row in rows if row.get("was") == "running"]
            changed = [(key(row["id"]), "") for row in rows if row["version"] != _FIRST_VERSION]
            self._words.tell(stops + changed)

    def _send(self, writes: Sequence[Write]) -> list[Write]:
        return [] if self.mirror is None else self.mirror.line.send(writes)

    def _shown(self, rows: Iterable[TaskRow]) -> list[Write]:
        """Leave out the first version: who looks at the task from now on finds it in Postgres, or a newer one."""
        seen = [row for row in rows if row["version"] != _FIRST_VERSION]
        return [(self._show, row) for row in (self._looked_at(seen) if len(seen) >= _MANY else seen)]

    def _looked_at(self, rows: list[TaskRow]) -> list[TaskRow]:
        """Return those of many rows that somebody looks at, once the others are told of: to write one out costs more
        than to ask."""
        try:
            return rows if self.mirror is None else self.mirror.tell(rows)
        except redis.RedisError as error:
            log.debug("not asked which of %d tasks are mirrored: %s", len(rows), error)
            return rows

    def _show(self, row: TaskRow, pipeline: Pipeline) -> None:
        if self.mirror is not None and (snapshot := TaskSnapshot.read(row)) is not None:
            self.mirror.put(snapshot, pipeline, hidden=row["sensitive"])

    def _stop(self, row: TaskRow, pipeline: Pipeline) -> None:
        pipeline.publish(STOP_CHANNEL, f"{row['id']} {row['run']}")

    def _hurry(self, task_id: UUID, pipeline: Pipeline) -> None:
        pipeline.publish(STOP_CHANNEL, str(task_id))

"""What follows a commit: mirror and bell, in one pipelined round trip that is allowed to fail."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from agent_tasks import metrics
from agent_tasks.doorbell import bell
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.doorbell.mirror import Mirror
from agent_tasks.doorbell.redis_url import RedisUrl
from agent_tasks.doorbell.unsent import UnsentBells
from agent_tasks.moments import reached
from agent_tasks.settings import Settings
from agent_tasks.task.row import BellRow, TaskRow
from agent_tasks.task.signing import fingerprints
from agent_tasks.task.snapshot import TaskSnapshot

log = logging.getLogger(__name__)
STOP_CHANNEL = "agent-tasks:stop"
"""The channel on which workers hear that a step is to stop, by task and run, since its task was ended from outside;
a task alone means that its undo function is to finish soon."""
_FIRST_VERSION = 1
BATCH = 500
"""The most rows that go to Redis in one round trip."""


def connect(settings: Settings) -> "redis.Redis":
    """Return a client whose every call is bounded: Redis is only the doorbell, and nobody may hang on it.

    A broken connection is made again, once; a call whose answer did not come in time is not repeated.
    """
    return RedisUrl(settings.redis_url).client(
        socket_timeout=1.5,
        socket_connect_timeout=1.0,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


class Publisher:
    """Publishes rows that a transition returned: their mirror, and a bell for each that is pending."""

    def __init__(self, settings: Settings, client: "redis.Redis", keys: Sequence[bytes]) -> None:
        """Create a publisher; the first of `keys` signs, all of them verify."""
        self._client = client
        self.keys = tuple(keys)
        self._breaker = Breaker()
        self._unsent = UnsentBells(lambda rows: self._send([(self._ring, row) for row in rows]))
        self.mirror = Mirror(client, settings.lease_seconds, self.keys, self._breaker)

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints that tell the keys apart, in their order."""
        return tuple(fingerprints(self.keys))

    def publish(self, rows: Iterable[TaskRow], *, bells: Sequence[BellRow] = ()) -> bool:
        """Publish the rows; return True if Redis took it all. False costs nothing but time: this process rings the
        bells when Redis is back, or the sweep does.

        A row that `was` running belongs to a task that was ended from outside: its run is told to stop, before
        any bell. Rows in `bells` are only rung.
        """
        rows = list(rows)
        _count_ends(rows)
        writes: list[tuple[Callable[[Any, Pipeline], None], Any]] = []
        writes += [(self._stop, row) for row in rows if row.get("was") == "running"]
        writes += [(self._tell, row) for row in rows]
        if self._send(writes + [(self._ring, row) for row in bells]):
            return True
        self._unsent.keep([*bells, *(row for row in rows if row["status"] == "pending")])
        return False

    def hurry(self, task_id: UUID) -> bool:
        """Tell the undo function that runs for this task to finish soon."""
        return self._send([(self._hurry, task_id)])

    def show(self, rows: Iterable[TaskRow]) -> bool:
        """Update the mirror alone; otherwise as `publish`."""
        return self._send([(self._show, row) for row in rows])

    def waiting(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many bells wait in each of these queues. Raises redis.RedisError when Redis is away."""
        keys = {queue: bell.queue_keys(queue) for queue in queues}
        with self._breaker, self._client.pipeline(transaction=False) as pipeline:
            for key in (key for of_queue in keys.values() for key in of_queue):
                pipeline.llen(key)
            lengths = iter(pipeline.execute())
        return {queue: sum(next(lengths) for _ in of_queue) for queue, of_queue in keys.items()}

    def close(self) -> None:
        """Close, leaving the bells that could not be rung to the sweep."""
        self._unsent.close()

    def _send(self, writes: Sequence[tuple[Callable[[Any, Pipeline], None], Any]]) -> bool:
        try:
            for start in range(0, len(writes), BATCH):
                if start:
                    reached("half-published")
                with self._breaker, self._client.pipeline(transaction=False) as pipeline:
                    for tell, what in writes[start : start + BATCH]:
                        tell(what, pipeline)
                    pipeline.execute()
        except redis.RedisError as error:
            metrics.PUBLISH_FAILURES.inc()
            log.debug("publish failed: tasks=%d error=%s", len(writes), error)
            return False
        return True

    def _tell(self, row: TaskRow, pipeline: Pipeline) -> None:
        self._show(row, pipeline)
        if row["status"] == "pending":
            self._ring(row, pipeline)

    def _show(self, row: TaskRow, pipeline: Pipeline) -> None:
        if row["version"] == _FIRST_VERSION:
            return  # nobody has looked at the task before: who does so now finds this version in Postgres, or a newer
        if (snapshot := TaskSnapshot.read(row)) is not None:
            self.mirror.put(snapshot, pipeline, hidden=row["sensitive"])

    def _ring(self, row: BellRow, pipeline: Pipeline) -> None:
        try:
            message = bell.message(row, self.keys[0])
        except ValueError as error:  # a budget that cannot be read must not keep other tasks' bells from ringing
            log.error("no bell can be rung for the task: task=%s error=%s", row["id"], error)
            return
        pipeline.lpush(*message)

    def _stop(self, row: TaskRow, pipeline: Pipeline) -> None:
        pipeline.publish(STOP_CHANNEL, f"{row['id']} {row['run']}")

    def _hurry(self, task_id: UUID, pipeline: Pipeline) -> None:
        pipeline.publish(STOP_CHANNEL, str(task_id))


def _count_ends(rows: Iterable[TaskRow]) -> None:
    for row in rows:
        if row["finished_at"] is not None and row["acknowledged_at"] is None:  # it has ended just now
            seconds = (row["finished_at"] - row["created_at"]).total_seconds()
            metrics.TASK_SECONDS.labels(row["agent"], row["status"]).observe(seconds)

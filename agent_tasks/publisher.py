"""What follows a commit: mirror and bell, in one pipelined round trip that is allowed to fail."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from agent_tasks import bell, metrics
from agent_tasks.mirror import Mirror
from agent_tasks.settings import Settings
from agent_tasks.signing import fingerprints
from agent_tasks.snapshots import TaskSnapshot

log = logging.getLogger(__name__)
STOP_CHANNEL = "agent-tasks:stop"
"""Workers listen here for ids of tasks that ended from outside while a step ran."""
_AWAY_SECONDS = 1.0
_BATCH = 500


def connect(settings: Settings) -> "redis.Redis":
    """A client whose every call is bounded: Redis is only the doorbell, nobody may hang on it."""
    return redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        settings.redis_url,
        socket_timeout=2.0,
        socket_connect_timeout=1.0,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 1),
    )


class Publisher:
    """Publishes rows that a transition returned: their mirror, and a bell for each that is pending."""

    def __init__(self, settings: Settings, client: "redis.Redis", keys: Sequence[bytes]) -> None:
        """`keys`: the first signs, all of them verify."""
        self._client = client
        self.keys = tuple(keys)
        self._away_until = 0.0
        self.mirror = Mirror(client, living_seconds=settings.lease_seconds, keys=self.keys)

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """What tells the keys apart, in their order."""
        return tuple(fingerprints(self.keys))

    def publish(
        self, rows: Iterable[dict[str, Any]], stop: Sequence[UUID] = (), *, bells: Sequence[dict[str, Any]] = ()
    ) -> bool:
        """True when Redis took it all. False costs nothing but time: the sweep rings what stays pending.

        `bells` are rung only: they need hold no more than `transitions.rows.CLAIMED`.
        """
        told = [(self._tell, row) for row in rows] + [(self._ring, row) for row in bells]
        return self._all_sent(told + [(self._stop, task_id) for task_id in stop])

    def show(self, rows: Iterable[dict[str, Any]]) -> bool:
        """The mirror alone; otherwise as `publish`."""
        return self._all_sent([(self._show, row) for row in rows])

    def _all_sent(self, told: Sequence[tuple[Callable[[Any, Pipeline], None], Any]]) -> bool:
        if not told or time.monotonic() < self._away_until:
            return not told
        try:
            for start in range(0, len(told), _BATCH):
                with self._client.pipeline(transaction=False) as pipeline:
                    for tell, what in told[start : start + _BATCH]:
                        tell(what, pipeline)
                    pipeline.execute()
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            metrics.PUBLISH_FAILURES.inc()
            log.warning("publish failed, the sweep will repair it: tasks=%d error=%s", len(told), error)
            return False
        return True

    def _tell(self, row: dict[str, Any], pipeline: Pipeline) -> None:
        self._show(row, pipeline)
        if row["status"] == "pending":
            self._ring(row, pipeline)

    def _show(self, row: dict[str, Any], pipeline: Pipeline) -> None:
        self.mirror.put(TaskSnapshot.from_row(row), pipeline, hidden=row["sensitive"])

    def _ring(self, row: dict[str, Any], pipeline: Pipeline) -> None:
        pipeline.lpush(*bell.message(row, self.keys[0]))

    def _stop(self, task_id: UUID, pipeline: Pipeline) -> None:
        pipeline.publish(STOP_CHANNEL, str(task_id))

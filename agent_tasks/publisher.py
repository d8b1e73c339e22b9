"""What follows a commit: mirror and bell, in one pipelined round trip that is allowed to fail."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from agent_tasks import bell, metrics
from agent_tasks.mirror import Mirror
from agent_tasks.settings import Settings
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

    def __init__(self, settings: Settings, client: "redis.Redis", key: bytes) -> None:
        self._client = client
        self._key = key
        self._away_until = 0.0
        self.mirror = Mirror(client, living_seconds=settings.lease_seconds)

    @property
    def key(self) -> bytes:
        return self._key

    def publish(self, rows: Iterable[dict[str, Any]], stop: Sequence[UUID] = ()) -> bool:
        """True when Redis took it all. False costs nothing but time: the sweep rings what stays pending."""
        rows = list(rows)
        return self._all_sent(rows, lambda batch, pipeline: self._publish(batch, stop, pipeline))

    def ring(self, rows: Sequence[dict[str, Any]]) -> bool:
        """The bells alone, of rows that need hold no more than `transitions.rows.CLAIMED`; otherwise as `publish`."""
        return self._all_sent(rows, self._ring)

    def show(self, rows: Sequence[dict[str, Any]]) -> bool:
        """The mirror alone; otherwise as `publish`."""
        return self._all_sent(rows, self._show)

    def _all_sent(
        self, rows: Sequence[dict[str, Any]], send: Callable[[Sequence[dict[str, Any]], Pipeline], None]
    ) -> bool:
        if not rows or time.monotonic() < self._away_until:
            return not rows
        try:
            for start in range(0, len(rows), _BATCH):
                with self._client.pipeline(transaction=False) as pipeline:
                    send(rows[start : start + _BATCH], pipeline)
                    pipeline.execute()
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            metrics.PUBLISH_FAILURES.inc()
            log.warning("publish failed, the sweep will repair it: tasks=%d error=%s", len(rows), error)
            return False
        return True

    def _publish(self, rows: Sequence[dict[str, Any]], stop: Sequence[UUID], pipeline: Pipeline) -> None:
        self._show(rows, pipeline)
        self._ring([row for row in rows if row["status"] == "pending"], pipeline)
        for task_id in stop:
            pipeline.publish(STOP_CHANNEL, str(task_id))

    def _show(self, rows: Sequence[dict[str, Any]], pipeline: Pipeline) -> None:
        for row in rows:
            self.mirror.put(TaskSnapshot.from_row(row), pipeline, hidden=row["sensitive"])

    def _ring(self, rows: Sequence[dict[str, Any]], pipeline: Pipeline) -> None:
        for row in rows:
            pipeline.lpush(*bell.message(row, self._key))

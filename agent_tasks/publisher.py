"""What follows a commit: mirror and bell, in one pipelined round trip that is allowed to fail."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agent_tasks import bell, metrics
from agent_tasks.mirror import Mirror
from agent_tasks.settings import Settings
from agent_tasks.snapshots import TaskSnapshot
from agent_tasks.states import TaskStatus

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
        if not rows or time.monotonic() < self._away_until:
            return not rows
        try:
            for start in range(0, len(rows), _BATCH):
                self._send(rows[start : start + _BATCH], stop)
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            metrics.PUBLISH_FAILURES.inc()
            log.warning("publish failed, the sweep will repair it: tasks=%d error=%s", len(rows), error)
            return False
        return True

    def _send(self, rows: list[dict[str, Any]], stop: Sequence[UUID]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for row in rows:
                snapshot = TaskSnapshot.from_row(row)
                self.mirror.put(snapshot, pipeline, hidden=row["sensitive"])
                if snapshot.status is TaskStatus.PENDING:
                    bell.ring(snapshot, row["priority"], self._key, pipeline)
            for task_id in stop:
                pipeline.publish(STOP_CHANNEL, str(task_id))
            pipeline.execute()

"""The line to one Redis: its client, the breaker before it, and writes in batches of one round trip each."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from agent_tasks import metrics
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.moments import reached

log = logging.getLogger(__name__)
BATCH = 500
"""The most writes that go to Redis in one round trip."""
Write = tuple[Callable[[Any, Pipeline], None], Any]
"""What adds commands to a pipeline, and of what."""


def bounded() -> dict[str, Any]:
    """Return the arguments of a client whose every call is bounded: Redis is only the doorbell, and nobody may hang
    on it.

    A broken connection is made again, once; a call whose answer did not come in time is not repeated.
    """
    return {
        "socket_timeout": 1.5,
        "socket_connect_timeout": 1.0,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    }


class Line:
    """What the mirror and the bells share where they are on one Redis."""

    def __init__(self, client: "redis.Redis", breaker: Breaker | None = None) -> None:
        self.client = client
        self.breaker = breaker or Breaker()

    def send(self, writes: Sequence[Write]) -> bool:
        """Make the writes in their order; return whether Redis took them all. It is allowed to fail."""
        try:
            for start in range(0, len(writes), BATCH):
                if start:
                    reached("half-published")
                with self.breaker, self.client.pipeline(transaction=False) as pipeline:
                    for write, what in writes[start : start + BATCH]:
                        write(what, pipeline)
                    pipeline.execute()
        except redis.RedisError as error:
            metrics.PUBLISH_FAILURES.inc()
            log.debug("publish failed: writes=%d error=%s", len(writes), error)
            return False
        return True

"""The line to one Redis: its client, the breaker before it, and writes in batches of one round trip each."""

import logging
from bisect import bisect
from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from agent_tasks import metrics
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.doorbell.redis_url import is_refused
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

    def send(self, writes: Sequence[Write]) -> list[Write]:
        """Make the writes in their order, and return those that Redis did not take and may take later.

        Each is judged by its own answers: what is refused for good is logged, and hinders no other. It is allowed to
        fail.
        """
        unmade: list[Write] = []
        for start in range(0, len(writes), BATCH):
            if start:
                reached("half-published")
            batch, ends = writes[start : start + BATCH], list[int]()
            try:
                with self.breaker, self.client.pipeline(transaction=False) as pipeline:
                    for write, what in batch:
                        write(what, pipeline)
                        ends.append(len(pipeline))
                    commands: Any = pipeline.command_stack
                    answers = pipeline.execute(raise_on_error=False)
            except redis.RedisError as error:
                metrics.PUBLISH_FAILURES.inc()
                log.debug("publish failed: writes=%d error=%s", len(writes) - start, error)
                return [*unmade, *writes[start:]]
            failed = [place for place, answer in enumerate(answers) if isinstance(answer, Exception)]
            if failed:
                metrics.PUBLISH_FAILURES.inc()
                later = [place for place in failed if not self._is_final(commands[place][0], answers[place])]
                unmade += [batch[place] for place in sorted({bisect(ends, place) for place in later})]
        return unmade

    def _is_final(self, command: Sequence[Any], answer: Exception) -> bool:
        if not is_refused(answer):
            self.breaker.failed(answer)
            return False
        self.breaker.refused(f"{command[0]} for the key {command[3 if command[0] == 'EVAL' else 1]}", answer)
        return True

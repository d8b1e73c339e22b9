"""The gate that a rival's processes stand at until all are ready; it is in Redis, and out of the measured path."""

import os
from typing import TYPE_CHECKING, Any

import redis

from benchmarks.deployment import until

if TYPE_CHECKING:
    from benchmarks.deployment import Deployment

_READY, _GO, _DONE = "bench:ready", "bench:go", "bench:done"


class Gate:
    """Used by both sides: the benchmark opens it, the processes pass it and say when they are done."""

    def __init__(self, url: str) -> None:
        self._redis: Any = redis.Redis.from_url(url, socket_timeout=None)  # else 5 s, and a wait may be longer

    @classmethod
    def of_process(cls) -> "Gate":
        """The gate as a process started by `Deployment.process` finds it."""
        return cls(os.environ["AGENT_TASKS_REDIS_URL"])

    @classmethod
    def of_benchmark(cls, made: "Deployment") -> "Gate":
        gate = cls(made.settings.redis_url)
        gate._redis.delete(_READY, _GO, _DONE)
        return gate

    def arrive(self) -> None:
        self._redis.incr(_READY)

    def wait(self) -> None:
        self._redis.blpop(_GO)

    def done(self, count: int = 1) -> None:
        self._redis.incrby(_DONE, count)

    def until_arrived(self, count: int) -> None:
        self._until(_READY, count)

    def open(self, count: int) -> None:
        self._redis.rpush(_GO, *["go"] * count)

    def until_done(self, count: int) -> None:
        self._until(_DONE, count)

    def _until(self, key: str, count: int) -> None:
        until(lambda: int(self._redis.get(key) or 0) >= count, f"{key} was {count}", every=0.005)

"""The breaker before a server: after a call without an answer, those that follow fail at once instead of waiting."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType

import redis

from agent_tasks.doorbell.redis_url import remedy

log = logging.getLogger(__name__)
OPEN_SECONDS = 1.0
_REMIND_SECONDS = 60.0
_MOST_REASONS = 100
"""A reason may name a queue, and of these there is no end."""


class RedisAway(redis.ConnectionError):
    """Redis did not answer a moment ago, so it was not asked."""


class Breaker:
    """A context for each call to Redis, or another server. Raises `away` for a second after a call without an answer.

    An outage is logged when it begins, once a minute while it lasts, and when it is over.
    """

    def __init__(
        self,
        server: str = "Redis",
        away: type[Exception] = RedisAway,
        errors: type[Exception] = redis.RedisError,
        to_do: Callable[[Exception], str | None] = remedy,
    ) -> None:
        """`errors` are those that say that `server` did not answer, or refused; `to_do` says what to do about one."""
        self._server = server
        self._to_do = to_do
        self._away = away
        self._errors = errors
        self._lock = threading.Lock()
        self._open_until = 0.0
        self._is_away = False
        self._logged_at: dict[str, float] = {}
        """When each reason was last logged, the longest known first."""

    @property
    def is_open(self) -> bool:
        return monotonic() < self._open_until

    def __enter__(self) -> None:
        if self.is_open:
            raise self._away(f"{self._server} did not answer a moment ago")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if self._is_away:
                self._is_away = False
                self._logged_at.clear()
                log.warning("%s is back", self._server)
        elif isinstance(error, self._errors) and not isinstance(error, self._away):
            self.failed(error)

    def failed(self, error: Exception) -> None:
        """Note a call without an answer, or with one that refused."""
        if not isinstance(error, redis.ResponseError):  # an answer, if an unwelcome one
            self._open_until = monotonic() + OPEN_SECONDS
            self._is_away = True
        reason = self.explained(error)
        if self._is_to_be_said(reason):
            log.error("%s cannot be used; tasks wait in Postgres meanwhile: %s", self._server, reason)

    def refused(self, what: str, error: Exception) -> None:
        """Note that the server answers, and refuses only this."""
        reason = self.explained(error)
        if self._is_to_be_said(reason):
            log.error("%s refuses %s: %s", self._server, what, reason)

    def _is_to_be_said(self, reason: str) -> bool:
        with self._lock:
            if monotonic() - self._logged_at.get(reason, -_REMIND_SECONDS) < _REMIND_SECONDS:
                return False
            while len(self._logged_at) >= _MOST_REASONS:
                del self._logged_at[next(iter(self._logged_at))]
            self._logged_at[reason] = monotonic()
        return True

    def explained(self, error: Exception) -> str:
        """Return an error as a person is told of it, with what to do where that is known."""
        return ": ".join(filter(None, (type(error).__name__, str(error), self._to_do(error))))

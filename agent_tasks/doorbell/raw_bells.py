"""Bells as raw writes to Redis: what kombu's Redis transport would send, without its overhead."""

import base64
import json
import logging
from collections.abc import Callable, Sequence
from itertools import chain, islice, product
from typing import Any
from uuid import uuid4

import redis
from redis.client import Pipeline

from agent_tasks.doorbell import bell, envelope
from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.bells import Bells
from agent_tasks.doorbell.line import Line
from agent_tasks.doorbell.lists import OURS, Lists
from agent_tasks.doorbell.place import of_redis
from agent_tasks.doorbell.unsent import Keep
from agent_tasks.task.row import BellRow

log = logging.getLogger(__name__)
_LOOKED_AT = 10
"""How many messages at each end of a list are looked at, for whether they are bells."""
_BODY = base64.b64encode(json.dumps(bell.BODY).encode()).decode()


class RawBells:
    """The fast path. Where the mirror is on the same line, a publisher has `add` put both into one round trip."""

    path = "redis"

    def __init__(
        self, line: Line, key: Callable[[], bytes], lists: Lists = OURS, why: str = "the broker is a Redis"
    ) -> None:
        """`key` returns what signs the envelopes; it is asked for when the first bell rings."""
        self.line = line
        self.why = why
        self._lists = lists
        self._key = key

    @property
    def place(self) -> str:
        return of_redis(self.line.client, self._lists)

    @property
    def has_prefix(self) -> bool:
        return bool(self._lists.prefix)

    def ring(self, rows: Sequence[BellRow], keep: Keep) -> bool:
        unmade = self.line.send([(self.add, row) for row in rows])
        keep([row for _, row in unmade])
        return not unmade

    def add(self, row: BellRow, pipeline: Pipeline) -> None:
        """Add a task's bell to a pipeline."""
        if (headers := bell.headers(row, self._key())) is not None:
            level = self._lists.level(row["priority"])
            pipeline.lpush(self._lists.name(row["queue"], level), _enclosed(headers, row["queue"], level))

    def put_back(self, messages: Sequence[Taken]) -> bool:
        return not self.line.send([(self._put_back, message) for message in messages])

    def _put_back(self, message: Taken, pipeline: Pipeline) -> None:
        level = self._lists.nearest(message.level)
        pipeline.rpush(self._lists.name(message.queue, level), _enclosed(message.headers, message.queue, level))

    def waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        found = self._ask(queues, ("LLEN",))
        return {queue: None if answers is None else sum(answers) for queue, answers in found.items()}

    def bells_waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        found = self._ask(queues, ("LLEN",), ("LRANGE", 0, _LOOKED_AT - 1), ("LRANGE", -_LOOKED_AT, -1))
        counted: dict[str, int | None] = {}
        for queue, answers in found.items():
            looked_at = chain.from_iterable(answers[1::3] + answers[2::3]) if answers else ()
            counted[queue] = sum(answers[::3]) if answers and all(map(_is_bell, looked_at)) else None
        return counted

    def _ask(self, queues: Sequence[str], *commands: tuple[Any, ...]) -> dict[str, list[Any] | None]:
        """Return the answers to the commands for each list of each queue; None where one is an error."""
        found: dict[str, list[Any] | None] = dict.fromkeys(queues)
        try:
            with self.line.breaker, self.line.client.pipeline(transaction=False) as pipeline:
                for key, (name, *terms) in product(chain.from_iterable(map(self._lists.of, queues)), commands):
                    pipeline.execute_command(name, key, *terms)
                answers = iter(pipeline.execute(raise_on_error=False))
        except redis.RedisError as error:
            log.debug("messages that wait were not counted: %s", error)
            return found
        for queue in queues:
            of_queue = list(islice(answers, len(self._lists.steps) * len(commands)))
            if not any(isinstance(answer, Exception) for answer in of_queue):
                found[queue] = of_queue
        return found

    def problem(self) -> str | None:
        try:
            self.line.client.ping()
        except redis.RedisError as error:
            return self.line.breaker.explained(error)
        return None

    def close(self) -> None:
        """Leave the connections to whom the line belongs."""


def shared_line(bells: Bells) -> Line | None:
    """Return the line to a Redis in which there is room for other keys than those of queues, if bells go to one.

    Where lists are named with a prefix, its user may have rights on no other keys.
    """
    return bells.line if isinstance(bells, RawBells) and not bells.has_prefix else None


def _is_bell(message: bytes) -> bool:
    try:
        return envelope.HEADER in json.loads(message)["headers"]
    except (ValueError, TypeError, LookupError):
        return False


def _enclosed(headers: dict[str, Any], queue: str, level: int) -> str:
    return json.dumps(
        {
            "body": _BODY,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "correlation_id": headers["id"],
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": level,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )

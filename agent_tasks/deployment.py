"""Deployment: the Postgres, the Redis and the keys of one installation, and the one way to commit to it."""

import os
from collections.abc import Callable, Sequence
from inspect import getattr_static
from threading import RLock
from typing import Any, Generic, TypeVar
from uuid import UUID
from weakref import WeakSet

import redis

from agent_tasks.doorbell.bells import Bells
from agent_tasks.doorbell.broker import open_bells
from agent_tasks.doorbell.callbacks import Callbacks
from agent_tasks.doorbell.hearing import Hearing
from agent_tasks.doorbell.line import Line
from agent_tasks.doorbell.mirror import Mirror
from agent_tasks.doorbell.postgres_notices import PostgresNotices
from agent_tasks.doorbell.publisher import Publisher, connect
from agent_tasks.doorbell.raw_bells import shared_line
from agent_tasks.doorbell.subscriptions import Notices
from agent_tasks.doorbell.words import Words
from agent_tasks.errors import InvalidInput
from agent_tasks.moments import reached
from agent_tasks.settings import Settings
from agent_tasks.store.access import may_see, not_found
from agent_tasks.store.database import Connection, Database
from agent_tasks.store.pause_look import PauseLook
from agent_tasks.store.queries import catalog, read
from agent_tasks.store.rows import Row
from agent_tasks.task.arguments import check_kind
from agent_tasks.task.identity import Identity
from agent_tasks.task.signing import derived, keys_of
from agent_tasks.tracing.spans import Spans

T = TypeVar("T")


class Once(Generic[T]):
    """A property of a deployment that is made with its first use, and once, whichever threads ask for it."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, deployment: "Deployment", owner: type) -> T:
        with deployment.making:
            made = deployment.__dict__
            if self._name not in made:
                made[self._name] = self._make(deployment)
            return made[self._name]


class Deployment:
    """One deployment, as every process of it sees it. Thread-safe; nothing connects before it is used."""

    def __init__(self, settings: Settings | None = None) -> None:
        check_kind(settings, "settings", Settings, "Settings, as of Settings.load()")
        self.settings = settings or Settings.load()
        self.making = RLock()
        self.database = self._open_database()
        _deployments.add(self)

    def _open_database(self) -> Database:
        return Database(self.settings.database_url, self.settings.pool_size, self.settings.prepared_statements)

    @property
    def has_redis(self) -> bool:
        """Whether there is a Redis to mirror status in. Without one it is read from Postgres, which sends notices."""
        return self._line is not None

    @property
    def redis(self) -> "redis.Redis":
        """The Redis that status is mirrored in. Raises InvalidInput where there is none."""
        if self._line is None:
            raise InvalidInput("AGENT_TASKS_REDIS_URL is not set, and there is no Redis", field="AGENT_TASKS_REDIS_URL")
        return self._line.client

    @Once
    def notices(self) -> Callbacks:
        return Notices(self.redis) if self.has_redis else PostgresNotices(self.database)

    @Once
    def publisher(self) -> Publisher:
        after_first_bell = self._hearing.begin
        if self._line is None:
            words = Words(self.database)
            return Publisher(self._signing_keys, self.bells, None, words, after_first_bell, spans=self.spans)
        mirror = Mirror(self._line, self.settings.lease_seconds, self._signing_keys)
        return Publisher(self._signing_keys, self.bells, mirror, after_first_bell=after_first_bell, spans=self.spans)

    @Once
    def _hearing(self) -> Hearing:
        return Hearing(self.database, self.bells.place, self.settings.lease_seconds)

    @Once
    def spans(self) -> Spans:
        """The spans of OpenTelemetry that this deployment writes, if any."""
        return Spans(self.settings.traces)

    @Once
    def pause_look(self) -> PauseLook:
        return PauseLook(self.database)

    @Once
    def bells(self) -> Bells:
        """The way to the broker. It is there without Postgres."""
        return open_bells(self.settings, lambda: self._signing_keys[0], self._named_line)

    @Once
    def _named_line(self) -> Line | None:
        return Line(connect(self.settings)) if self.settings.redis_url else None

    @Once
    def _line(self) -> Line | None:
        """The line to the Redis of the settings, else to the one that is the installed app's broker."""
        return self._named_line or shared_line(self.bells)

    @Once
    def peppers(self) -> tuple[bytes, ...]:
        """With what the digests of API keys are made: the first of them now, the others before."""
        return derived(self._signing_keys, b"agent-tasks pepper of API keys")

    @Once
    def callback_keys(self) -> tuple[bytes, ...]:
        """From what `callback_secrets` makes the secrets of each tenant, the newest first."""
        return derived(self._signing_keys, b"agent-tasks key of callbacks")

    @Once
    def hook_keys(self) -> tuple[bytes, ...]:
        """What hooks are signed with: the first of them now, the others before."""
        return derived(self._signing_keys, b"agent-tasks hooks")

    @Once
    def session_keys(self) -> tuple[bytes, ...]:
        """What the console's sessions are signed with: the first of them now, the others before."""
        return derived(self._signing_keys, b"agent-tasks sessions of the console")

    @Once
    def outcome_keys(self) -> tuple[bytes, ...]:
        """What signs messages that tell of the end of a team's task: the first of them now, the others before."""
        return derived(self._signing_keys, b"agent-tasks outcomes of Celery tasks")

    @Once
    def _signing_keys(self) -> tuple[bytes, ...]:
        if keys := keys_of(self.settings.secret_key):
            return keys
        with self.database.connection() as connection:
            return (catalog.signing_key(connection),)

    def commit(self, transition: Callable[[Connection], list[Row]], *, single: bool = False) -> list[Row]:
        """Run a transition, repeated where it met rivals, and publish the rows that it returns: those it changed.

        `single`: it is one statement, which commits by itself. Raises ServerAway, Contention, and what the transition
        raises, which undoes it.
        """
        publisher = self.publisher  # first: what it needs may be missing, and then nothing is to be committed
        rows = self.database.run(transition, single=single)
        reached("committed")
        publisher.publish(rows)
        return rows

    def commit_for(self, transition: Callable[[Connection], tuple[T, Sequence[Row]]]) -> T:
        """Run `commit` for a transition that has an answer beside the rows that it changed; returns the answer."""
        publisher = self.publisher
        answer, rows = self.database.run(transition)
        reached("committed")
        publisher.publish(rows)
        return answer

    def publish(self, rows: Sequence[Row]) -> None:
        """Publish rows that a commit changed: to the mirror, as bells for what is pending, as stops for what ran.

        For commits that go another way than `commit`. Never raises for Redis.
        """
        self.publisher.publish(rows)

    def find_row(self, task_id: UUID, identity: Identity | None = None) -> Row:
        """Find a task's row. Raises TaskNotFound, also where the task is there and `identity` may not see it."""
        with self.database.connection() as connection:
            row = read.find(connection, task_id)
        if row is None or not may_see(identity, row):
            raise not_found(task_id, identity)
        return row

    def close(self) -> None:
        """Close the connections; the object can be used again."""
        self._ring_anew()
        self.database.close()

    def _ring_anew(self) -> None:
        """Close the ways to the broker and to the Redis, to be found again at their next use."""
        for name in ("_hearing", "notices", "publisher", "bells"):
            if name in self.__dict__:
                getattr(self, name).close()
        self._forget()

    def _begin_anew(self) -> None:
        """Begin anew in a forked child, without the parent's threads, and leave the parent's connections alone."""
        _left_alone.append(dict(self.__dict__))
        self.making = RLock()
        self._forget()
        self.database = self._open_database()

    def _forget(self) -> None:
        with self.making:
            for name in list(self.__dict__):
                if isinstance(getattr_static(type(self), name, None), Once):
                    del self.__dict__[name]


_deployments: "WeakSet[Deployment]" = WeakSet()
_left_alone: list[Any] = []
"""Objects of the parents of forked children: collecting them would close them, or wait for a lock for ever."""


def ring_anew() -> None:
    """Have each deployment of this process that has rung before find the broker again: it may be another app's."""
    for deployment in list(_deployments):
        if "bells" in vars(deployment):
            deployment._ring_anew()  # pyright: ignore[reportPrivateUsage]


def _begin_all_anew() -> None:
    for deployment in list(_deployments):
        deployment._begin_anew()  # pyright: ignore[reportPrivateUsage]


os.register_at_fork(after_in_child=_begin_all_anew)

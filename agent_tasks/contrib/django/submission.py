"""Submitting in a transaction of Django's, on its own connection."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, nullcontext
from typing import Any, Unpack

import psycopg
from django.db import connections, transaction
from django.utils.connection import ConnectionDoesNotExist

import agent_tasks
from agent_tasks.authoring.agent import Agent
from agent_tasks.client.after_commit import OwnedTransaction
from agent_tasks.client.callers_connection import borrowed
from agent_tasks.client.client import AgentTasks
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.submission import SubmitOptions, TaskInput
from agent_tasks.contrib.django.database import url_of
from agent_tasks.errors import InvalidInput
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import read
from agent_tasks.store.route import Route
from agent_tasks.task.budget import Budget


def submit(
    agent: str | Agent,
    input: TaskInput = None,
    *,
    using: str = "default",
    budget: Budget | None = None,
    idempotency_key: str | None = None,
    **options: Unpack[SubmitOptions],
) -> TaskHandle:
    """Accept a task on Django's connection `using`, and return its handle at once.

    Inside of `transaction.atomic()` the task is part of that transaction: workers see it once that has committed, and
    there never was one where it, or the savepoint, was rolled back. Outside it is accepted at once. Otherwise as
    `agent_tasks.submit`; errors of Postgres are Django's, as `django.db.OperationalError`.

    Raises InvalidInput where `using` is no alias of DATABASES, no PostgreSQL on psycopg 3, or another database than
    that of the tasks.
    """
    client = agent_tasks.default()
    write = client.prepared(agent, input, budget=budget, idempotency_key=idempotency_key, **options)
    return write(_DjangoTransaction(client, using))


def submit_many(
    agent: str | Agent,
    inputs: Iterable[TaskInput],
    *,
    using: str = "default",
    budget: Budget | None = None,
    **options: Unpack[SubmitOptions],
) -> list[TaskHandle]:
    """Accept a task for each input, all or none, in one statement on Django's connection; otherwise as `submit`."""
    client = agent_tasks.default()
    write = client.prepared_many(agent, inputs, budget=budget, **options)
    return write(_DjangoTransaction(client, using))


class _DjangoTransaction(OwnedTransaction):
    def __init__(self, client: AgentTasks, using: str) -> None:
        self._client = client
        self._using = using

    @contextmanager
    def begin(self, *, whole: bool) -> Generator[Connection]:
        django: Any = self._checked()
        atomic: Any = transaction.atomic(self._using, savepoint=False) if whole else nullcontext()
        with django.wrap_database_errors, atomic:
            yield django.connection

    def after_commit(self, do: Callable[[], None]) -> None:
        transaction.on_commit(do, using=self._using, robust=True)

    def _checked(self) -> Any:
        """Return Django's wrapper, connected. Raises InvalidInput where tasks cannot be written on it."""
        try:
            django: Any = connections[self._using]
        except ConnectionDoesNotExist:
            known = ", ".join(connections)
            raise InvalidInput(
                f"using={self._using!r} is no alias of DATABASES, which has {known}", field="using"
            ) from None
        if django.vendor != "postgresql":
            raise InvalidInput(
                f"DATABASES[{self._using!r}] is {django.display_name}, and tasks are written to PostgreSQL",
                field="using",
            )
        django.validate_no_broken_transaction()
        django.ensure_connection()
        if not isinstance(django.connection, psycopg.Connection):
            raise InvalidInput(
                f"DATABASES[{self._using!r}] does not use psycopg 3, whose connection tasks are written on: uninstall "
                "psycopg2, and take the backend django.db.backends.postgresql of Django 4.2 or later",
                field="using",
            )
        if not django.in_atomic_block and not django.get_autocommit():
            raise InvalidInput(
                f"Autocommit is off on DATABASES[{self._using!r}], where Django runs nothing after a commit: submit in "
                "transaction.atomic()",
                field="using",
            )
        self._check_database(django)
        return django

    def _check_database(self, django: Any) -> None:
        theirs, ours = url_of(django.settings_dict), self._client.settings.database_url
        if (theirs, ours) in _same or Route(theirs).place == Route(ours).place:
            _same.add((theirs, ours))
            return
        with borrowed(django.connection):
            there = read.place(django.connection)
        with self._client.database.connection() as connection:
            here = read.place(connection)
        if here != there:
            raise InvalidInput(
                f"DATABASES[{self._using!r}] is another database than that of the tasks, so no transaction spans both: "
                "submit with the alias of the tasks' own, or with agent_tasks.submit, in a transaction of its own",
                field="using",
            )
        _same.add((theirs, ours))


_same: set[tuple[str, str]] = set()
"""URLs, of an alias and of the tasks, that were found to be of one database."""

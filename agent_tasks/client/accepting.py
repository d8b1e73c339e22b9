"""Writing tasks that are accepted: in a commit of their own or in a caller's transaction, with a key or without."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from psycopg_pool import PoolTimeout

from agent_tasks import metrics
from agent_tasks.authoring.agent import Agent
from agent_tasks.client.after_commit import AfterCommit, OwnedTransaction
from agent_tasks.client.callers_connection import aside, borrowed
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.sending import Sending
from agent_tasks.client.submission import Submission, Target
from agent_tasks.deployment import Deployment, Once
from agent_tasks.errors import IdempotencyConflict, InvalidInput
from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import ServerAway
from agent_tasks.store.queries import read
from agent_tasks.store.rows import Row
from agent_tasks.task.arguments import check_text
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.transitions import idempotency
from agent_tasks.transitions.audit import entry
from agent_tasks.transitions.submit import NewTask, submit, submit_each

Given = Connection | OwnedTransaction | None
"""Whose transaction a submit is a part of; None: one of its own."""


class Accepting(Deployment):
    """The part of `AgentTasks` that accepts tasks."""

    _place: read.PlaceRow | None = None
    """Its database, as last seen."""

    @Once
    def _submission(self) -> Submission:
        return Submission(self.settings, self.database)

    @Once
    def _after_commit(self) -> AfterCommit:
        return AfterCommit(self.database, self.publisher)

    def accept(
        self,
        task: NewTask,
        *,
        idempotency_key: str | None = None,
        request: bytes = b"",
        waits: bool = False,
        also: Callable[[Connection], None] | None = None,
    ) -> TaskHandle:
        """Accept a task that `new_task` has made of a request whose digest is `request`.

        Raises IdempotencyConflict where the key was used for a request of another digest, and KeyInUse where a request
        with the key is being accepted at this moment; with `waits` the second gets the task of the first.
        `also` is done in the transaction of a task that is accepted with a key.
        """
        if idempotency_key is None:
            return self._handle(task.id, self._write(None, [task], self._insert)[0])
        return self._submit_once(task, [request], idempotency_key, None, waits=waits, also=also)

    def find_accepted(self, idempotency_key: str, request: bytes, identity: Identity | None) -> TaskHandle | None:
        """Return the task that `accept` has made of a request with this key; None where there was none.

        Raises IdempotencyConflict where that was a request of another digest.
        """
        tenant, subject = (identity.tenant, identity.subject) if identity else ("", "")
        with self.database.connection() as connection:
            found = idempotency.find(connection, tenant=tenant, subject=subject, key=idempotency_key)
        if found is None:
            return None
        return self._owner(idempotency_key, found["task_id"], is_same=bytes(found["digest"]) == request)

    def accept_all(self, tasks: Sequence[NewTask], entries: Sequence[Mapping[str, str]]) -> list[TaskHandle]:
        """Accept tasks of several callers, all or none; `entries` are what the audit is told of each."""

        def write(connection: Connection, tasks: Sequence[NewTask]) -> list[Row]:
            return submit_each(connection, tasks, entries, ring_seconds=self.settings.ring_seconds)

        rows = {row["id"]: row for row in self._write(None, tasks, write)}
        return [self._handle(task.id, rows[task.id]) for task in tasks]

    def find_target(self, agent: str | Agent) -> Target:
        """Return what a submit must know of an agent. Raises UnknownAgent."""
        return self._submission.find_target(agent)

    def new_task(self, target: Target, value: Any, budget: Budget | None, **options: Any) -> NewTask:
        """Return a request as a task not yet accepted. Raises InvalidInput, PayloadTooLarge."""
        return self._submission.new_task(target, value, budget, **options)

    def close(self) -> None:
        """Close the connections; the object can be used again."""
        if "_after_commit" in self.__dict__:
            self._after_commit.close()
        super().close()

    def _submit_once(
        self,
        task: NewTask,
        wanted: Sequence[bytes],
        key: str,
        connection: Given,
        *,
        waits: bool = True,
        also: Callable[[Connection], None] | None = None,
    ) -> TaskHandle:
        check_text(key, "idempotency_key", 255)
        identity = task.identity
        owners: list[tuple[UUID, bool]] = []

        def reserve_and_submit(c: Connection, tasks: Sequence[NewTask]) -> list[Row]:
            owners[:] = [
                idempotency.reserve(
                    c,
                    tenant=identity.tenant if identity else "",
                    subject=identity.subject if identity else "",
                    key=key,
                    digests=wanted,
                    task_id=task.id,
                    seconds=self.settings.idempotency_seconds,
                    waits=waits,
                )
            ]
            rows = self._insert(c, tasks) if owners[0][0] == task.id else []
            if rows and also is not None:
                also(c)
            reached("written")
            return rows

        rows = self._write(connection, [task], reserve_and_submit, transaction=True)
        if rows:
            return self._handle(task.id, rows[0])
        (owner, is_same) = owners[0]
        return self._owner(key, owner, is_same=is_same)

    def _owner(self, key: str, owner: UUID, *, is_same: bool) -> TaskHandle:
        """Return the task that has a key. Raises IdempotencyConflict where it is not of the same request."""
        if not is_same:
            raise IdempotencyConflict(
                f"The idempotency key {key!r} was used for another request, task {owner}. Use a new key for a new "
                "request, or repeat the old one unchanged.",
                field="idempotency_key",
                task_id=str(owner),
            )
        return TaskHandle(self, owner, None)

    def _insert(self, connection: Connection, tasks: Sequence[NewTask]) -> list[Row]:
        said = entry("submit", tasks[0].identity)
        return submit(connection, tasks, ring_seconds=self.settings.ring_seconds, entry=said)

    def _write(
        self,
        connection: Given,
        tasks: Sequence[NewTask],
        write: Callable[[Connection, Sequence[NewTask]], list[Row]],
        *,
        transaction: bool = False,
    ) -> list[Row]:
        """Commit what `write` does, or leave the commit to the caller whose `connection` this is."""
        sending = Sending(self.spans, tasks)
        tasks = sending.tasks
        if isinstance(connection, OwnedTransaction):
            return self._write_in(connection, sending, write, transaction)
        if connection is not None:
            after_commit = aside(connection, lambda: self._after_commit)  # first: what it needs may be missing
            whole = connection.transaction() if transaction and connection.autocommit else nullcontext()
            with borrowed(connection):
                callers = read.transaction(connection)
                aside(connection, lambda: self._check_place(callers))
                with whole:
                    rows = write(connection, tasks)
            after_commit.watch(callers["id"], rows, sending.written)
            return rows
        try:
            rows = self.commit(lambda c: write(c, tasks), single=not transaction)
        except ServerAway as error:
            if isinstance(error.__cause__, PoolTimeout):
                raise
            ids = [task.id for task in tasks]  # the answer was lost, perhaps after the commit
            rows = self.commit(lambda c: read.find_many(c, ids) or write(c, tasks), single=not transaction)
        for row in rows:
            metrics.SUBMITTED.labels(row["agent"]).inc()
        sending.written(row["id"] for row in rows)
        return rows

    def _write_in(
        self,
        owned: OwnedTransaction,
        sending: Sending,
        write: Callable[[Connection, Sequence[NewTask]], list[Row]],
        whole: bool,
    ) -> list[Row]:
        publisher = self.publisher  # first: if what it needs is missing, nothing is to be accepted
        with owned.begin(whole=whole) as connection, borrowed(connection):
            rows = write(connection, sending.tasks)

        def tell() -> None:
            reached("committed")
            for row in rows:
                metrics.SUBMITTED.labels(row["agent"]).inc()
            sending.written(row["id"] for row in rows)
            publisher.publish(rows)

        if rows:
            owned.after_commit(tell)
        return rows

    def _check_place(self, callers: read.PlaceRow) -> None:
        """Raise InvalidInput where a caller's connection does not reach this deployment's database."""
        if not self._place or self._place["server"] != callers["server"]:  # it may have been restarted
            with self.database.connection() as connection:
                self._place = read.place(connection)
        if (self._place["database"], self._place["server"]) != (callers["database"], callers["server"]):
            where = "" if callers["database"] != self._place["database"] else " of another server, or of a standby"
            raise InvalidInput(
                f"connection= is to the database {callers['database']!r}{where}, and the tasks of this deployment are "
                f"in {self._place['database']!r}. Pass a connection to the database of AGENT_TASKS_DATABASE_URL, or "
                "submit without one after your own commit.",
                field="connection",
            )

    def _handle(self, task_id: UUID, row: Row) -> TaskHandle:
        return TaskHandle(self, task_id, None, TaskSnapshot.from_row(row))

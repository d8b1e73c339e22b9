"""TaskHandle: watching one task, and steering it."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import redis
from pydantic import BaseModel, ConfigDict

from agent_tasks.authoring.calls.blocking import refuse_to_block
from agent_tasks.authoring.permissions import check_scopes
from agent_tasks.client.signals import Receipt, send_signal
from agent_tasks.client.submission import declared
from agent_tasks.doorbell import mirror
from agent_tasks.errors import (
    AgentTaskError,
    ErrorInfo,
    ErrorType,
    InvalidInput,
    InvalidState,
    PartialCompletion,
    PermissionDenied,
    SuggestedAction,
    TaskNotFound,
    from_info,
)
from agent_tasks.storable import storable
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read
from agent_tasks.store.rows import Row
from agent_tasks.task.arguments import check_flag, check_kind, check_whole, checked_timeout, refused
from agent_tasks.task.budget import Budget
from agent_tasks.task.event import Event
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.transitions.acknowledge import acknowledge
from agent_tasks.transitions.cancel import cancel
from agent_tasks.transitions.join import join
from agent_tasks.transitions.resume import resume

if TYPE_CHECKING:
    from agent_tasks.client.client import AgentTasks

_PATIENCE = timedelta(seconds=2)
_INSTEAD = (
    "await the same of agent_tasks.aio; better, spawn the task by FanOut([Child(...)]), or return Wait(...) for a "
    "signal that it sends, and hold no worker meanwhile."
)
FIRST_POLL_SECONDS, SLOWEST_POLL_SECONDS = 1.0, 30.0


class TreeNode(BaseModel):
    """A task and what it has spawned, in the order of its FanOuts."""

    model_config = ConfigDict(frozen=True)

    snapshot: TaskSnapshot
    children: list["TreeNode"] = []


def may_see(identity: Identity | None, row: Row) -> bool:
    """Whether a task's row, as Postgres has it, is for `identity`; None is a trusted program."""
    return identity is None or identity.may_access(
        Identity.model_validate(row["identity"]) if row["identity"] else None
    )


def not_found(task_id: UUID, identity: Identity | None) -> TaskNotFound:
    """The same for a task that is not there and for one that `identity` may not see."""
    if identity is None:
        return TaskNotFound(f"No task {task_id}: it never existed, or was purged after its retention.")
    return TaskNotFound(
        f"No task {task_id} that {identity.subject!r} may see: it never existed, was purged after its retention, or "
        "belongs to another. Ask as its owner, or with the scope 'tasks:all' in its tenant."
    )


class TaskHandle:
    """A task of a deployment; `id` is a UUIDv7. Every access is checked against `identity`, if one is given.

    What decides is the task's row in Postgres, whose owner never changes: it is looked at before anything is shown,
    and before each write.
    """

    def __init__(
        self, client: "AgentTasks", task_id: UUID, identity: Identity | None, seen: TaskSnapshot | None = None
    ) -> None:
        self.client = client
        self.id = task_id
        self.identity = identity
        self._seen = seen
        """The newest snapshot seen; the first one of all is Postgres's where there is an identity."""

    def __repr__(self) -> str:
        return f"TaskHandle({str(self.id)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def snapshot(self) -> TaskSnapshot:
        """The task as it stands: from the mirror, or from Postgres where that has none or is behind.

        Of a task that nobody has taken for two seconds it says why, where no worker would: `unserved`.
        Raises TaskNotFound.
        """
        seen = self.look()
        if seen.status is not TaskStatus.PENDING or (datetime.now(UTC) - seen.created_at) < _PATIENCE:
            return seen
        try:
            return self.stored()
        except Transient:  # Postgres is away: the mirror has answered
            return seen

    def stored(self) -> TaskSnapshot:
        """The task as Postgres has it; refills the mirror. Raises TaskNotFound."""
        seen = self.read()
        with self.client.database.connection() as connection:
            return self.client.with_unserved(connection, [seen])[0]

    def look(self) -> TaskSnapshot:
        """`snapshot`, without a look at the workers."""
        if self.identity is not None and self._seen is None:
            return self.read()
        if self._seen is not None and self._seen.status.is_terminal and self._seen.acknowledged_at is not None:
            return self._seen
        mirror = self.client.publisher.mirror
        reader = None
        try:
            mirrored = mirror.get(self.id)
            if mirrored is None:
                reader = mirror.announce(self.id)
        except redis.RedisError:
            mirrored = None
        if mirrored is None or (self._seen is not None and mirrored.version < self._seen.version):
            return self.read(reader)
        return self._see(mirrored)

    def read(self, reader: str | None = None) -> TaskSnapshot:
        """`stored`, without a look at the workers. `reader` was announced to the mirror."""
        row = self.client.find_row(self.id, self.identity)
        snapshot = self._see(TaskSnapshot.from_row(row))
        try:
            self.client.publisher.mirror.fill(snapshot, reader, hidden=row["sensitive"])
        except redis.RedisError:
            return snapshot  # Redis is a mirror: without it Postgres answers, as it just did
        return snapshot

    def _see(self, snapshot: TaskSnapshot) -> TaskSnapshot:
        if self._seen is None or snapshot.version >= self._seen.version:
            self._seen = snapshot
        return self._seen

    def wait(self, timeout: float | None = None) -> TaskSnapshot:
        """The terminal snapshot. `timeout` is seconds; raises TimeoutError after it.

        Listens for word on Redis; polls Postgres at 1 s, doubling to 30 s, for when word is lost. Raises RuntimeError
        in an async step, whose event loop it would block.
        """
        refuse_to_block("TaskHandle.wait() and result()", _INSTEAD)
        changed = threading.Event()
        with self.client.notices.listening(mirror.key(self.id), lambda _: changed.set()):
            for seconds in self.polling(timeout):
                if seconds is None:
                    break
                if changed.wait(seconds):
                    changed.clear()
                    self.look()
                else:
                    self.read()
        return self.ended()

    def polling(self, timeout: float | None) -> Iterator[float | None]:
        """How long to listen before the next look at the task; None when it has ended.

        Raises TimeoutError after `timeout` seconds.
        """
        timeout = checked_timeout(timeout)
        end = None if timeout is None else time.monotonic() + timeout
        wait = FIRST_POLL_SECONDS
        snapshot = self.look()
        version = snapshot.version
        while not snapshot.status.is_terminal:
            left = SLOWEST_POLL_SECONDS if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"task {self.id} is still {snapshot.status} after {timeout:g} s; it goes on")
            yield min(wait, left)
            snapshot = self._seen or snapshot
            wait = FIRST_POLL_SECONDS if snapshot.version > version else min(wait * 2, SLOWEST_POLL_SECONDS)
            version = snapshot.version
        yield None

    def ended(self) -> TaskSnapshot:
        """The terminal snapshot that `polling` has seen."""
        assert self._seen is not None
        assert self._seen.status.is_terminal
        return self._seen

    def result(self, timeout: float | None = None) -> Any:
        """The result of a completed task. Raises TimeoutError, or the typed error that the task ended with.

        A partial task raises PartialCompletion: `details["result"]` has what it recorded, `details["cause"]`
        why it ended.
        """
        return result_of(self.wait(timeout))

    def signal(
        self,
        name: str,
        payload: Any = None,
        *,
        signal_id: str | None = None,
        wait_id: str | None = None,
        identity: Identity | None = None,
    ) -> Receipt:
        """Send the task a signal; one that comes before its wait is kept for it.

        `signal_id`: sending it again has no second effect, and after the task's end gets the first receipt. `wait_id`
        (of `snapshot.waiting_for`): the wait that it answers, and no other. `identity`: who sends it (default: the
        handle's), as the step and the history are told; a handle with an identity signs as nobody else.

        Raises InvalidInput for a payload that the step's annotation refuses or a name that the agent does not declare,
        InvalidState where the task has ended or that wait is over, PermissionDenied for another's identity.
        """
        check_identity(identity)
        if self.identity is not None and identity is not None and not self.identity.may_sign_as(identity):
            raise PermissionDenied(
                f"{self.identity.subject!r} cannot sign as {identity.subject!r}, nor with scopes of which it has none.",
                subject=identity.subject,
            )
        sender = identity or self.identity
        return send_signal(self.client, self.read(), name, payload, signal_id=signal_id, wait_id=wait_id, sender=sender)

    def cancel(self, reason: str = "cancelled by request") -> TaskSnapshot:
        """End the task and all below it as cancelled; without effect where its end is decided.

        A task with steps to undo ends when they are undone. Where one is being undone by now, its undo function has
        AGENT_TASKS_OVERRUN_SECONDS more before it is given up as not undone.
        """
        if not isinstance(reason, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise refused("reason must be text", reason, "reason")
        self._check()
        reason = storable(reason)[:4000]
        error = ErrorInfo(
            type=ErrorType.CANCELLED,
            message=reason,
            suggested_action=SuggestedAction.RESUME,
            details={"reason": reason},
        )

        def cancel_and_join(connection: Connection) -> list[Row]:
            rows = cancel(connection, self.id, error)
            return rows + join(connection, rows, ring_seconds=self.client.settings.ring_seconds)

        if not self._change(cancel_and_join):
            row = self.client.find_row(self.id)
            if row["status"] == "running" and row["ending"] is not None:
                self.client.publisher.hurry(self.id)
        return self.stored()

    def _change(self, transition: Callable[[Connection], list[Row]]) -> list[Row]:
        """Run a transition in a transaction and publish what it changed."""
        rows = self.client.database.run(transition)
        self.client.publish(rows)
        return rows

    def events(self, after: int = 0, follow: bool = False, timeout: float | None = None) -> Iterator[Event]:
        """The task's history in order, gap-free, from `seq` > `after`.

        With `follow` it goes on until the task has ended. `timeout` is seconds for all of it; raises
        TimeoutError.
        """
        check_flag(follow, "follow")
        timeout = checked_timeout(timeout)
        self._check()
        changed = threading.Event()
        if not follow:
            yield from self.more_events(after)
            return
        refuse_to_block("TaskHandle.events(follow=True)", _INSTEAD)
        with self.client.notices.listening(mirror.key(self.id), lambda _: changed.set()):
            end = None if timeout is None else time.monotonic() + timeout
            wait = FIRST_POLL_SECONDS
            while True:
                found = list(self.more_events(after))
                yield from found
                if found:
                    after, wait = found[-1].seq, FIRST_POLL_SECONDS
                    if found[-1].type == "finished":
                        return
                elif self.read().status.is_terminal:
                    yield from self.more_events(after)
                    return
                left = SLOWEST_POLL_SECONDS if end is None else end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"task {self.id} has not ended after {timeout:g} s; it goes on")
                if not changed.wait(min(wait, left)):
                    wait = min(wait * 2, SLOWEST_POLL_SECONDS)
                changed.clear()

    def more_events(self, after: int) -> Iterator[Event]:
        """The events with `seq` > `after` that are there now."""
        check_whole(after, "after", 0)
        while True:
            with self.client.database.connection() as connection:
                rows = read.events(connection, self.id, after)
            yield from (Event(**row) for row in rows)
            if not rows:
                return
            after = rows[-1]["seq"]

    def children(self) -> list["TaskHandle"]:
        """The tasks that this one has spawned, in the order of their FanOuts."""
        self._check()
        with self.client.database.connection() as connection:
            rows = [row for row in read.children(connection, self.id) if may_see(self.identity, row)]
        return [TaskHandle(self.client, row["id"], self.identity, TaskSnapshot.read(row)) for row in rows]

    def tree(self, *, root: bool = False) -> TreeNode:
        """This task and all below it at one moment; with `root` the whole tree to which it belongs.

        Raises TaskNotFound.
        """
        check_flag(root, "root")
        self._check()
        with self.client.database.connection() as connection:
            rows = read.tree(connection, self.id, root=root)
            tasks = self.client.with_unserved(connection, TaskSnapshot.from_rows(rows))
        if not rows or not all(may_see(self.identity, row) for row in rows):
            raise not_found(self.id, self.identity)
        nodes: dict[UUID | None, TreeNode] = {task.id: TreeNode(snapshot=task) for task in tasks}
        top, *others = nodes.values()
        for node in others:
            nodes.get(node.snapshot.parent_id, top).children.append(node)
        return top

    def resume(self, *, budget: Budget | None = None, from_step: int | None = None) -> "TaskHandle":
        """A new task that goes on from this one's last checkpoint, with its recorded calls and a fresh budget.

        `from_step`: from an earlier step number instead, also of a completed task: a fork. `budget` overrides
        this task's own limits, field by field. Children that had completed are not run again. Raises InvalidInput,
        InvalidState where this task has not ended or was purged, and, where no step is named, has completed or has
        steps that could not be undone (`details["not_undone"]`); PermissionDenied where the handle's identity lacks a
        scope that the agent needs.
        """
        if from_step is not None:
            check_whole(from_step, "from_step", 0)
        check_kind(budget, "budget", Budget, "a Budget(seconds=..., tokens=..., ...)")
        old = self.read()
        if not old.status.is_terminal:
            raise InvalidState(
                f"Task {self.id} cannot be resumed: it is {old.status}, not ended.", status=str(old.status)
            )
        if old.status is TaskStatus.COMPLETED and from_step is None:
            raise InvalidState(f"Task {self.id} cannot be resumed: it has completed. Name a step number to go on from.")
        if old.error is not None and old.error.details.get("purged"):
            raise InvalidState(f"Task {self.id} cannot be resumed: its state was purged. Submit it again.")
        check_scopes(old.agent, declared(self.client.database, old.agent).scopes, self.identity)
        limit = (budget or Budget()).over(old.budget.limit)
        ring_seconds = self.client.settings.ring_seconds
        rows = self._change(lambda c: resume(c, self.id, budget=limit, from_step=from_step, ring_seconds=ring_seconds))
        return TaskHandle(self.client, rows[0]["id"], self.identity, TaskSnapshot.from_row(rows[0]))

    def acknowledge(self) -> TaskSnapshot:
        """Say that the result was taken: the task may be purged after a tenth of the retention.

        Once is enough; again changes nothing. Raises InvalidState where the task has not ended.
        """
        snapshot = self.read()
        if not snapshot.status.is_terminal:
            raise InvalidState(f"Task {self.id} is {snapshot.status}: there is no result to acknowledge yet.")
        with self.client.database.connection() as connection:
            acknowledge(connection, self.id)
        return self.read()

    def traceback(self) -> str | None:
        """Where its step raised what ended the task, as Python prints it; None where no step raised anything."""
        self._check()
        with self.client.database.connection() as connection:
            return read.traceback(connection, self.id)

    def _check(self) -> None:
        """Raise TaskNotFound where there is no such task for the handle's identity."""
        if self.identity is not None or self._seen is None:
            self.client.find_row(self.id, self.identity)


def result_of(snapshot: TaskSnapshot) -> Any:
    """The result of a terminal snapshot. Raises the typed error that the task ended with."""
    if snapshot.status is TaskStatus.COMPLETED:
        return snapshot.result
    if snapshot.error is None:
        raise InvalidInput(f"task {snapshot.id} is {snapshot.status}: it has no result yet")
    if snapshot.status is TaskStatus.PARTIAL:
        left: dict[str, Any] = {} if snapshot.remaining is None else {"remaining": snapshot.remaining}
        raise PartialCompletion(
            f"Task {snapshot.id} ended early: {snapshot.error.message}",
            result=snapshot.result,
            cause=snapshot.error.model_dump(mode="json"),
            **left,
        )
    error: AgentTaskError = from_info(snapshot.error)
    raise error

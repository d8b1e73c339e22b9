"""TaskHandle: watches one task, and steers it."""

from collections.abc import Iterator, Mapping
from typing import Any

from agent_tasks.authoring.calls.blocking import refuse_to_block
from agent_tasks.authoring.permissions import check_scopes
from agent_tasks.client import following
from agent_tasks.client.calls import CallPage, find_calls
from agent_tasks.client.listing import Page, find_children
from agent_tasks.client.logs import LogLine, find_logs
from agent_tasks.client.result import result_of
from agent_tasks.client.signals import Receipt, send_signal
from agent_tasks.client.submission import declared
from agent_tasks.client.tree import TreeNode, read_tree
from agent_tasks.client.watched import WatchedTask
from agent_tasks.errors import ErrorInfo, ErrorType, InvalidInput, InvalidState, PermissionDenied, SuggestedAction
from agent_tasks.storable import storable
from agent_tasks.store.access import may_see
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import read
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.task.arguments import check_flag, check_kind, check_whole, checked_timeout, refused
from agent_tasks.task.budget import Budget
from agent_tasks.task.event import Event
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.target_url import check_target_url
from agent_tasks.transitions import audit
from agent_tasks.transitions.acknowledge import acknowledge
from agent_tasks.transitions.cancel import cancel
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.resume import resume

_INSTEAD = (
    "await its counterpart in agent_tasks.aio; better, spawn the task by FanOut([Child(...)]), or return Wait(...) for "
    "a signal that it sends, which keeps no worker busy meanwhile."
)


class TaskHandle(WatchedTask):
    """A task of a deployment; `id` is a UUIDv7. Every access is checked against `identity`, if one is given.

    The check reads the task's row in Postgres, whose owner never changes, before anything is shown and before each
    write.
    """

    def __repr__(self) -> str:
        return f"TaskHandle({str(self.id)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def wait(self, timeout: float | None = None) -> TaskSnapshot:
        """Wait for the task to end, and return its last snapshot. `timeout` is seconds; raises TimeoutError after it.

        Listens for word on Redis; in case word is lost, polls Postgres at 1 s, doubling to 30 s. Raises RuntimeError
        in an async step, whose event loop it would block.
        """
        refuse_to_block("TaskHandle.wait() and result()", _INSTEAD)
        for _ in following.follow(self, timeout):
            pass
        return self.ended()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the task to end, and return its result. Raises TimeoutError, or the typed error it ended with.

        A partial task raises PartialCompletion: `details["result"]` is its partial result, `details["cause"]`
        the reason.
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
        (of `snapshot.waiting_for`): the one wait that it answers. `identity`: the sender (default: the handle's), whom
        the step and the history name; a handle with an identity signs only as the same subject.

        Raises InvalidInput for a payload that the step's annotation refuses or a name that the agent does not declare,
        InvalidState if the task has ended or that wait is over, PermissionDenied for another's identity.
        """
        check_identity(identity)
        if self.identity is not None and identity is not None and not self.identity.may_sign_as(identity):
            raise PermissionDenied(
                f"{self.identity.subject!r} cannot sign as {identity.subject!r}, or with scopes that it does not have.",
                subject=identity.subject,
            )
        sender = identity or self.identity
        return send_signal(
            self.deployment, self.read(), name, payload, signal_id=signal_id, wait_id=wait_id, sender=sender
        )

    def cancel(self, reason: str = "cancelled by request") -> TaskSnapshot:
        """End the task and all below it as cancelled; this has no effect once its end is decided.

        A task with steps to undo ends when they are undone. An undo function that is running now has
        AGENT_TASKS_OVERRUN_SECONDS more before its step is given up as not undone.
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

        def cancel_all(connection: Connection) -> list[Row]:
            rows, joined = end(
                connection,
                lambda c: cancel(c, self.id, error),
                ring_seconds=self.deployment.settings.ring_seconds,
                above=[self.id],
            )
            if rows:
                hidden = any(row["sensitive"] for row in rows)
                data = None if hidden else {"reason": audit.short(reason)}
                audit.write(connection, "cancel", self.identity, task_id=self.id, data=data)
            return [*rows, *joined]

        if not self.deployment.commit(cancel_all):
            row = self.deployment.find_row(self.id)
            if row["status"] == "running" and row["ending"] is not None:
                self.deployment.publisher.hurry(self.id)
        return self.stored()

    def events(self, after: int = 0, follow: bool = False, timeout: float | None = None) -> Iterator[Event]:
        """Yield the task's history in order, without gaps, from `seq` > `after`.

        With `follow` it goes on until the task has ended. `timeout` is seconds for all of it; raises
        TimeoutError after it.
        """
        check_flag(follow, "follow")
        timeout = checked_timeout(timeout)
        self._check()
        if not follow:
            yield from self.more_events(after)
            return
        refuse_to_block("TaskHandle.events(follow=True)", _INSTEAD)
        latest = None
        for _ in following.follow(self, timeout):
            for event in self.more_events(after):
                yield event
                after, latest = event.seq, event.type
            if latest == "finished":
                return

    def more_events(self, after: int) -> Iterator[Event]:
        """Yield the events with `seq` > `after` that are there now."""
        while page := self.page_of_events(after):
            yield from page
            after = page[-1].seq

    def page_of_events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """The first `limit` events with `seq` > `after`; none where there are none yet.

        Raises InvalidInput for an `after` that the history has not come to.
        """
        check_whole(after, "after", 0)
        check_whole(limit, "limit", 1)
        with self.deployment.database.connection() as connection:
            rows = read.events(connection, self.id, after, limit)
            last = after if rows or not after else read.last_event(connection, self.id)
        if last < after:
            raise InvalidInput(
                f"Task {self.id} has no event {after} yet: the last one is {last}. Go on from that.", field="after"
            )
        return [Event(**row) for row in rows]

    def children(self) -> list["TaskHandle"]:
        """Return the tasks that this one has spawned, in the order of their FanOuts."""
        self._check()
        with self.deployment.database.connection() as connection:
            rows = [row for row in read.children(connection, self.id) if may_see(self.identity, row)]
        return [TaskHandle(self.deployment, row["id"], self.identity, TaskSnapshot.read(row)) for row in rows]

    def page_of_children(self, limit: int = 100, after: str | None = None) -> Page:
        """Return some of the tasks that this one has spawned, in the order of their ids, and where to go on.

        `after`: the `next` of the page before. Raises TaskNotFound, InvalidInput.
        """
        self._check()
        return find_children(self.deployment, self.id, limit=limit, after=after, identity=self.identity)

    def calls(self, limit: int = 100, after: str | None = None) -> CallPage:
        """Return some of the task's recorded calls, with what each cost, and where to go on.

        `after`: the `next` of the page before. Raises TaskNotFound, InvalidInput.
        """
        self._check()
        return find_calls(self.deployment, self.id, limit=limit, after=after)

    def logs(self, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Return what the task's steps have logged, the oldest first, from `seq` > `after`.

        Kept are the newest AGENT_TASKS_KEEP_LOGS records of each task, and none of a sensitive one. Raises InvalidInput
        for a limit that is not from 1 to 1,000.
        """
        self._check()
        return find_logs(self.deployment, self.id, limit=limit, after=after)

    def tree(self, *, root: bool = False) -> TreeNode:
        """Return this task and all below it at one moment; with `root` the whole tree to which it belongs.

        Raises TaskNotFound.
        """
        check_flag(root, "root")
        self._check()
        return read_tree(self.deployment, self.id, self.identity, root=root)

    def resume(
        self,
        *,
        budget: Budget | None = None,
        from_step: int | None = None,
        state: Mapping[str, Any] | None = None,
        callback_url: str | None = None,
    ) -> "TaskHandle":
        """Start a new task from this one's last checkpoint, with its recorded calls and a fresh budget.

        `from_step`: start from an earlier step number instead, also of a completed task: a fork. `state`: the arguments
        of that step by name, all of them, in place of those that were recorded. `budget` overrides this task's own
        limits, field by field. `callback_url` is told of the new task in place of this one's.
        Completed children are not run again. Raises InvalidInput; InvalidState
        if this task has not ended or was purged or, unless a step is named, has completed or has steps that could not
        be undone (`details["not_undone"]`); PermissionDenied if the handle's identity lacks a scope of the agent.
        """
        if from_step is not None:
            check_whole(from_step, "from_step", 0)
        edited = None if state is None else self._edited(state, from_step)
        check_kind(budget, "budget", Budget, "a Budget(seconds=..., tokens=..., ...)")
        if callback_url is not None:
            check_target_url(callback_url, "callback_url", self.deployment.settings.webhook_allow)
        old = self.read()
        if not old.status.is_terminal:
            raise InvalidState(
                f"Task {self.id} cannot be resumed: it is {old.status}, not ended.", status=str(old.status)
            )
        if old.status is TaskStatus.COMPLETED and from_step is None:
            raise InvalidState(f"Task {self.id} cannot be resumed: it has completed. Name the step to continue from.")
        if old.error is not None and old.error.details.get("purged"):
            raise InvalidState(f"Task {self.id} cannot be resumed: its state was purged. Submit it again.")
        check_scopes(old.agent, declared(self.deployment.database, old.agent).scopes, self.identity)
        limit = (budget or Budget()).over(old.budget.limit)
        ring_seconds = self.deployment.settings.ring_seconds

        def resume_it(connection: Connection) -> list[Row]:
            rows = resume(
                connection,
                self.id,
                budget=limit,
                from_step=from_step,
                state=edited,
                callback_url=callback_url,
                ring_seconds=ring_seconds,
            )
            data: dict[str, Any] = {"as": str(rows[0]["id"]), "from_step": rows[0]["step_number"]}
            if edited is not None:
                data["edited"] = True
            audit.write(connection, "resume", self.identity, task_id=self.id, data=data)
            return rows

        rows = self.deployment.commit(resume_it)
        return TaskHandle(self.deployment, rows[0]["id"], self.identity, TaskSnapshot.from_row(rows[0]))

    def acknowledge(self) -> TaskSnapshot:
        """Report that the result was taken: the task may then be purged after a tenth of the retention.

        Repeating it changes nothing. Raises InvalidState if the task has not ended.
        """
        snapshot = self.read()
        if not snapshot.status.is_terminal:
            raise InvalidState(f"Task {self.id} is {snapshot.status}: there is no result to acknowledge yet.")
        with self.deployment.database.connection() as connection:
            acknowledge(connection, self.id, self.identity)
        return self.read()

    def traceback(self) -> str | None:
        """Return the traceback of the error that ended the task, as Python prints it; None if no step raised one."""
        self._check()
        with self.deployment.database.connection() as connection:
            return read.traceback(connection, self.id)

    def _edited(self, state: Mapping[str, Any], from_step: int | None) -> str:
        """Return a step's arguments as JSON. Raises InvalidInput, PayloadTooLarge."""
        if from_step is None:
            raise InvalidInput("state is that of a step: name it by from_step.", field="from_step")
        if not isinstance(state, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise refused("state must be the arguments of the step, by name", state, "state")
        return payloads.encode(dict(state), "state", limit=self.deployment.settings.payload_limit)

    def _check(self) -> None:
        """Raise TaskNotFound if the task does not exist for the handle's identity."""
        if self.identity is not None or self._seen is None:
            self.deployment.find_row(self.id, self.identity)

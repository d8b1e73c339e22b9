"""Operating on many tasks: bulk operations, purging and pauses."""

from typing import Any
from uuid import UUID

from agent_tasks.client.bulk import Bulk, BulkOperation, find_bulk, latest_bulks, stop_bulk
from agent_tasks.client.bulk_request import begin_bulk
from agent_tasks.client.bulk_run import Progress
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.pauses import Pause, all_pauses, pause, resume_paused
from agent_tasks.client.purging import PurgeReport, purge_on_request
from agent_tasks.deployment import Deployment
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity
from agent_tasks.task.task_filter import TaskFilter


class Operating(Deployment):
    """The part of `AgentTasks` that pauses, purges and changes tasks in bulk."""

    def bulk(
        self,
        operation: BulkOperation,
        filter: TaskFilter,
        *,
        dry_run: bool = False,
        limit: int | None = None,
        all: bool = False,
        reason: str | None = None,
        budget: Budget | None = None,
        name: str | None = None,
        payload: Any = None,
        priority: int | None = None,
        to: str | None = None,
        wait: bool = True,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
        identity: Identity | None = None,
    ) -> Bulk:
        """Do one thing to all tasks of a filter, the newest first, in batches; returns what became of it.

        `operation`: cancel (`reason`), resume (`budget`, as of `TaskHandle.resume`), signal (`name`, `payload`; those
        that wait for it), acknowledge, purge (ended trees, by their roots), prioritise (`priority`, 0 to 9) or move
        (`to` a queue). What is in no state for it is passed over. `dry_run`: only count. `limit`: change at most so
        many. A filter that is true of every task needs `all`. `progress` is called after each batch. Where this program
        ends meanwhile, a sweep goes on within AGENT_TASKS_LEASE_SECONDS; with `wait` false the sweeps do all of it.
        Tasks submitted meanwhile are not among them. `idempotency_key`: kept for 24 hours
        (AGENT_TASKS_IDEMPOTENCY_SECONDS); the same request with it is the operation that the first one began.
        `identity`: only what it may see, and `purge` takes the scope `admin`; None: a trusted program.

        Raises InvalidInput, IdempotencyConflict where the key was another request's, PayloadTooLarge, PermissionDenied;
        ServerAway or Contention, after which a sweep goes on.
        """
        return begin_bulk(
            self,
            operation,
            filter,
            dry_run=dry_run,
            limit=limit,
            all=all,
            options={
                "reason": reason,
                "budget": budget,
                "name": name,
                "payload": payload,
                "priority": priority,
                "to": to,
            },
            identity=identity,
            waits=wait,
            progress=progress,
            key=idempotency_key,
        )

    def get_bulk(self, id: UUID | str, *, identity: Identity | None = None) -> Bulk:
        """Return how far an operation on many tasks has come. Raises TaskNotFound, also where it is another's."""
        return find_bulk(self, id, identity)

    def bulks(self, *, limit: int = 100, identity: Identity | None = None) -> list[Bulk]:
        """Return the operations on many tasks that began last, at most `limit` (1 to 1,000). Raises InvalidInput."""
        return latest_bulks(self, limit, identity)

    def stop_bulk(self, id: UUID | str, *, identity: Identity | None = None) -> Bulk:
        """Stop an operation on many tasks after its batch under way; one that has ended stays as it is.

        Raises TaskNotFound, also where it is another's.
        """
        return stop_bulk(self, id, identity)

    def purge(
        self,
        task: UUID | str | None = None,
        *,
        tenant: str | None = None,
        subject: str | None = None,
        cancel: bool = False,
        dry_run: bool = False,
        identity: Identity | None = None,
    ) -> PurgeReport:
        """Delete a task with all below it, or all that is kept of a `subject` in a `tenant`, or of a tenant, now.

        `tenant` of a subject: empty by default. Where something has not ended, nothing is deleted, unless `cancel`:
        then it is cancelled first, and what still undoes its steps is named in the report. `dry_run`: only say what
        would go. It may be repeated, and goes on where it was interrupted. `identity`: needs the scope `admin`; None: a
        trusted program. The audit stays. Raises InvalidInput, InvalidState, PermissionDenied, TaskNotFound.
        """
        return purge_on_request(
            self, task, tenant=tenant, subject=subject, cancel=cancel, dry_run=dry_run, identity=identity
        )

    def pause(
        self,
        task: TaskHandle | UUID | str | None = None,
        *,
        agent: str | None = None,
        queue: str | None = None,
        tenant: str | None = None,
        reason: str | None = None,
        identity: Identity | None = None,
    ) -> Pause:
        """Begin no more steps of a task and of all below it, or of an agent, a queue or a tenant; name one of them.

        `tenant` beside an agent or a queue: of its tasks only.

        Steps that run come to their end. Timers that come due wait, time-outs move by as long as the pause lasts, and
        no budget's clock runs meanwhile. Signals are kept, and cancelling goes on. `identity`: the caller, who may
        pause its own tasks, and with `tasks:all` its tenant, or what an agent or a queue has of its tenant; with the
        scope `admin` or None (a trusted program) anything.

        Raises InvalidInput, TaskNotFound, PermissionDenied, and InvalidState where it is paused, or the task has ended.
        """
        return pause(self, task, agent, queue, tenant, reason, identity)

    def resume_paused(
        self,
        task: TaskHandle | UUID | str | None = None,
        *,
        agent: str | None = None,
        queue: str | None = None,
        tenant: str | None = None,
        identity: Identity | None = None,
    ) -> Pause:
        """End a pause, of what `pause` was given, and return it; the sweep then rings for what is pending.

        Where the operators and a tenant have paused the same, a trusted program ends first that of the operators.

        A task for which another pause holds goes on when that has ended. Raises InvalidInput, TaskNotFound,
        InvalidState where it is not paused, and PermissionDenied where an `identity` may not end the pause: it ends
        none that a trusted program has begun.
        """
        return resume_paused(self, task, agent, queue, tenant, identity)

    def pauses(
        self, *, ended: bool = False, after: int | None = None, limit: int = 100, identity: Identity | None = None
    ) -> list[Pause]:
        """Return what is paused, the newest first, at most `limit` (1 to 1,000); with `ended` also what was.

        `after`: the id of a pause, to go on below it. `identity`: with `admin` it sees all, with `tasks:all` those of
        its tenant, otherwise those of its own tasks; None: a trusted program, which sees all. Raises InvalidInput.
        """
        return all_pauses(self, ended=ended, after=after, limit=limit, identity=identity)

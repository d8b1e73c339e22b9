"""Finding tasks, and what was written, charged and registered."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Unpack, get_args
from uuid import UUID

from agent_tasks.client.accepting import Accepting
from agent_tasks.client.agents import AgentInfo, known_agents
from agent_tasks.client.audit import AuditEntry, read_audit
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.listing import Page, find_tasks
from agent_tasks.client.living_task import Kind, LivingTask
from agent_tasks.client.serving import with_obstacles
from agent_tasks.client.spending import SpendKey, Spent, sum_up
from agent_tasks.store.queries import read
from agent_tasks.task.arguments import as_uuid, check_names, check_whole, refused
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import Asked, TaskFilter, one_filter


class Finding(Accepting):
    """The part of `AgentTasks` that finds tasks, and reads what they have left."""

    def get(self, task_id: UUID | str, *, identity: Identity | None = None) -> TaskHandle:
        """Return the handle of a task. Every access is checked against `identity`; None is a trusted program.

        Raises TaskNotFound, also for a task that `identity` may not see.
        """
        check_identity(identity)
        handle = TaskHandle(self, as_uuid(task_id), identity)
        handle.look()
        return handle

    def living(
        self,
        *,
        agent: str | None = None,
        status: TaskStatus | None = None,
        kind: Kind | None = None,
        tenant: str | None = None,
        subject: str | None = None,
        identity: Identity | None = None,
        limit: int = 100,
    ) -> list[LivingTask]:
        """List the tasks that have not ended, those that have waited, run or been pending longest first.

        `status`: those in this state, ended ones too. `kind`: those that wait for a signal, a timer, children or
        a retry. `identity`: only those it may see; None is a trusted program. Raises InvalidInput.
        """
        if kind is not None and kind not in get_args(Kind):
            raise refused("kind must be signal, timer, children or retry", kind, "kind")
        if status is not None and status not in tuple(TaskStatus):
            raise refused(f"status must be one of {', '.join(TaskStatus)}", status, "status")
        check_names(agent=agent, tenant=tenant, subject=subject)
        check_identity(identity)
        check_whole(limit, "limit", 1)
        with self.database.connection() as connection:
            rows = read.living_tasks(
                connection,
                agent=agent,
                status=status,
                kind=kind,
                tenant=tenant,
                subject=subject,
                identity=identity,
                limit=limit,
            )
            return with_obstacles(self, connection, LivingTask.from_rows(rows), identity)

    def search(
        self,
        filter: TaskFilter | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        identity: Identity | None = None,
        **asked: Unpack[Asked],
    ) -> Page:
        """Find tasks of which all that is asked is true, ended ones too: a page of at most `limit` (1 to 1,000).

        What can be asked are the fields of `TaskFilter`: one by one, as in `search(agent="writer", status="failed")`,
        or as a `filter`. The newest come first; where `ended_after` or `ended_before` is asked, those that ended last.
        `after`: the `next` of the page before. One page looks at no more than 10,000 tasks of the one condition that
        fewest fulfil: where few of them match, a page is short, or empty, and still has a `next`. `identity`: only
        what it may see; None: a trusted program. Raises InvalidInput.
        """
        return find_tasks(self, one_filter(filter, asked), limit=limit, after=after, identity=identity)

    def spend(
        self,
        by: Sequence[SpendKey] | SpendKey = ("day",),
        *,
        since: datetime | timedelta | None = None,
        until: datetime | timedelta | None = None,
        agent: str | None = None,
        tenant: str | None = None,
        subject: str | None = None,
        model: str | None = None,
        limit: int = 1_000,
        identity: Identity | None = None,
    ) -> list[Spent]:
        """Sum up what was charged, by agent, tenant, subject, model or day (UTC), or several of these; the most first.

        `since`: a time, or how long ago; by default since the day began (UTC). `until`: before then; by default until
        now; at most 400 days after `since`. Charges of tasks that were purged are not among them. `identity`: a
        tenant's own with the scope `tasks:all`, otherwise its own tasks; another's tenant or subject is refused. None:
        a trusted program. Raises InvalidInput, PermissionDenied.
        """
        return sum_up(
            self, by, since=since, until=until, agent=agent, tenant=tenant, subject=subject, model=model, limit=limit,
            identity=identity,
        )  # fmt: skip

    def agents(self) -> list[AgentInfo]:
        """Return the agents that workers have registered or this process has loaded, sorted by name."""
        self._submission.load_agents_once()
        return known_agents(self)

    def audit(
        self,
        *,
        tenant: str | None = None,
        subject: str | None = None,
        task_id: UUID | str | None = None,
        operation: str | None = None,
        door: str | None = None,
        after: int | None = None,
        limit: int = 100,
        identity: Identity | None = None,
    ) -> list[AuditEntry]:
        """Return who wrote what, the newest first, at most `limit` (1 to 1,000) entries.

        `tenant` and `subject` are those of the writer. `after`: the id of an entry, to go on below it. `identity`: with
        the scope `admin` it sees everything, with `tasks:all` what its tenant wrote, otherwise what it wrote itself;
        None: a trusted program, which sees everything. Raises InvalidInput, and TaskNotFound for a `task_id` that is
        no id.
        """
        return read_audit(
            self,
            tenant=tenant,
            subject=subject,
            task_id=None if task_id is None else as_uuid(task_id),
            operation=operation,
            door=door,
            after=after,
            limit=limit,
            identity=identity,
        )

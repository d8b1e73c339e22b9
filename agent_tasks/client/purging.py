"""Purging on request: a task, or all that is kept of a person or a tenant, with a report of what was deleted."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

import psycopg
from pydantic import BaseModel, ConfigDict

from agent_tasks.deployment import Deployment
from agent_tasks.errors import ErrorInfo, ErrorType, InvalidInput, InvalidState, PermissionDenied, SuggestedAction
from agent_tasks.store.access import viewer_of
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import search
from agent_tasks.store.rows import Row
from agent_tasks.task.arguments import as_uuid, check_flag, check_names
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.status import TERMINAL, TaskStatus
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.transitions import audit
from agent_tasks.transitions.bulk import COLUMNS
from agent_tasks.transitions.cancel import cancel_trees
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.erase import Erased, erase, erase_owned

_BATCH = 200
"""Trees of one transaction."""
_REASON = "it is to be purged"
_CANCELLED = ErrorInfo(
    type=ErrorType.CANCELLED,
    message=_REASON,
    suggested_action=SuggestedAction.NONE,
    details={"reason": _REASON},
)


class KeptTree(BaseModel):
    """A tree that was not purged."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    """Its root."""
    why: str


class PurgeReport(BaseModel):
    """What a purge has deleted, and what it has not."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    """True: it is what would be deleted."""
    tasks: int
    """Tasks, children included."""
    cancelled: int
    """Those among them that had not ended, and were cancelled first."""
    tables: dict[str, int]
    """Rows by the table that had them; `langgraph`: of LangGraph's saver."""
    kept: list[KeptTree]
    """Trees that stay: they still undo what they did, or one that lives goes on from them. Purge again later."""


def purge_on_request(
    deployment: Deployment,
    task: UUID | str | None,
    *,
    tenant: str | None,
    subject: str | None,
    cancel: bool,
    dry_run: bool,
    identity: Identity | None,
) -> PurgeReport:
    """Do what `AgentTasks.purge` does. Raises InvalidInput, InvalidState, PermissionDenied, TaskNotFound."""
    check_identity(identity)
    check_names(tenant=tenant, subject=subject)
    check_flag(cancel, "cancel")
    check_flag(dry_run, "dry_run")
    check_may_purge(identity)
    run = _Purge(deployment, cancel=cancel, dry_run=dry_run, identity=identity)
    if task is not None:
        if tenant is not None or subject is not None:
            raise InvalidInput("Name a task, or a tenant and a subject, not both.", field="task")
        return run.of_task(as_uuid(task))
    if not tenant and subject is None:
        raise InvalidInput(
            "Say what is to be purged: a task, a subject and their tenant, or a tenant.", field="subject"
        )
    return run.of_owner(tenant or "", subject)


def check_may_purge(identity: Identity | None) -> None:
    """Raise PermissionDenied where an identity lacks the scope `admin`."""
    if viewer_of(identity) is not None:
        raise PermissionDenied("Purging on request takes the scope 'admin'.", scope="admin")


class _Purge:
    """One purge, and what it has done: told to the audit in each of its transactions, so that none is left untold."""

    def __init__(self, deployment: Deployment, *, cancel: bool, dry_run: bool, identity: Identity | None) -> None:
        self._deployment = deployment
        self._cancel = cancel
        self._dry_run = dry_run
        self._identity = identity
        self._tables = Counter[str]()
        self._kept: dict[UUID, str] = {}
        self._cancelled = 0
        self._target = ""
        self._audit_id: int | None = None

    def of_task(self, task_id: UUID) -> PurgeReport:
        self._target = str(task_id)
        row = self._deployment.find_row(task_id)
        if row["parent_id"] is not None:
            root = row["root_id"]
            raise InvalidInput(f"Task {task_id} is a part of the tree of {root}. Purge that.", field="task")
        if not self._cancel and row["status"] not in TERMINAL:
            raise InvalidState(
                f"Task {task_id} has not ended: it is {row['status']}. Cancel it first (cancel=True, --cancel).",
                status=row["status"],
            )
        self._trees([row])
        if self._kept and not self._cancel:
            raise InvalidState(f"Task {task_id} stays: {self._kept[task_id]}.")
        return self._report()

    def of_owner(self, tenant: str, subject: str | None) -> PurgeReport:
        self._target = subject if subject is not None else tenant
        if not self._cancel:
            self._check_ended(tenant, subject)
        for rows in self._pages(TaskFilter(tenant=tenant, subject=subject), _BATCH):
            self._trees([row for row in rows if row["parent_id"] is None])
        self._do(lambda connection: Erased(erase_owned(connection, tenant, subject)), is_rest=True)
        return self._report()

    def _check_ended(self, tenant: str, subject: str | None) -> None:
        for status in sorted(set(TaskStatus) - TERMINAL):
            wanted = TaskFilter(tenant=tenant, subject=subject, status=status)
            if living := next(filter(None, self._pages(wanted, 1)), None):
                raise InvalidState(
                    f"There are tasks that have not ended: {living[0]['id']} is {status}. Cancel them first "
                    "(cancel=True, --cancel). Nothing was deleted.",
                    status=str(status),
                )

    def _pages(self, wanted: TaskFilter, limit: int) -> Iterator[list[Row]]:
        """Find the tasks of a filter, page by page: some may be empty, and are not the last."""
        place: search.Place | None = None
        while True:
            with self._deployment.database.connection() as connection:
                found = search.tasks(connection, wanted, after=place, limit=limit, columns=COLUMNS)
            yield found.rows
            place = found.next
            if place is None:
                return

    def _trees(self, roots: Sequence[Row]) -> None:
        """Cancel and delete; a dry run does both in the transaction that it takes back."""
        ids = [row["id"] for row in roots]
        ended = 0

        def work(connection: Connection) -> Erased:
            nonlocal ended
            if self._cancel and self._dry_run:
                ended, _ = self._end(connection, ids)
            return erase(connection, ids)

        def cancel(connection: Connection) -> tuple[tuple[int, int | None], list[Row]]:
            cancelled, rows = self._end(connection, ids)
            total = self._cancelled + cancelled
            return (cancelled, self._noted(connection, cancelled=total) if cancelled else self._audit_id), rows

        if self._cancel and not self._dry_run and ids:
            cancelled, self._audit_id = self._deployment.commit_for(cancel)
            self._cancelled += cancelled
        self._do(work)
        self._cancelled += ended

    def _end(self, connection: Connection, ids: Sequence[UUID]) -> tuple[int, list[Row]]:
        """Cancel these trees; returns how many tasks that ended, and the rows to publish."""
        ended, joined = end(
            connection,
            lambda c: cancel_trees(c, ids, _CANCELLED),
            ring_seconds=self._deployment.settings.ring_seconds,
            above=ids,
        )
        return len(ended), [*ended, *joined]

    def _do(self, work: Callable[[Connection], Erased], *, is_rest: bool = False) -> None:
        """Delete in a transaction, which a dry run takes back; then the rest has what went before in it once more."""

        def delete(connection: Connection) -> tuple[Erased, int | None]:
            erased, audit_id = Erased(), self._audit_id
            with connection.transaction() as within:
                erased = work(connection)
                if self._dry_run:
                    raise psycopg.Rollback(within)
                if erased.tables:
                    audit_id = self._noted(connection, tables=self._tables + erased.tables)
            return erased, audit_id

        erased, self._audit_id = self._deployment.database.run(delete)
        if self._dry_run and is_rest:
            self._tables |= erased.tables
        else:
            self._tables += erased.tables
        self._kept |= erased.kept

    def _noted(
        self, connection: Connection, *, tables: Counter[str] | None = None, cancelled: int | None = None
    ) -> int:
        """Write what was done until now to the one entry of the audit; returns its id."""
        data = {
            "tables": dict(sorted((self._tables if tables is None else tables).items())),
            "cancelled": self._cancelled if cancelled is None else cancelled,
            "kept": len(self._kept),
        }
        if self._audit_id is None:
            return audit.write(connection, "purge", self._identity, target=audit.short(self._target), data=data)
        audit.add(connection, self._audit_id, data)
        return self._audit_id

    def _report(self) -> PurgeReport:
        report = PurgeReport(
            dry_run=self._dry_run,
            tasks=self._tables["tasks"],
            cancelled=self._cancelled,
            tables=dict(sorted(self._tables.items())),
            kept=[KeptTree(task_id=id, why=why) for id, why in self._kept.items()],
        )
        if not self._dry_run:
            self._deployment.database.run(self._noted)
        return report

"""AgentTasks: submits to one deployment, and finds its tasks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Literal, Unpack, get_args
from uuid import UUID

from psycopg_pool import PoolTimeout

from agent_tasks import metrics
from agent_tasks.authoring.agent import Agent
from agent_tasks.client.after_commit import AfterCommit, OwnedTransaction
from agent_tasks.client.agents import AgentInfo, known_agents
from agent_tasks.client.alert import Alert
from agent_tasks.client.alert_rule import AlertRule
from agent_tasks.client.alerts import all_alerts, find_alert, put_alert, remove_alert
from agent_tasks.client.audit import AuditEntry, read_audit
from agent_tasks.client.bulk import Bulk, BulkOperation, find_bulk, latest_bulks, stop_bulk
from agent_tasks.client.bulk_request import begin_bulk
from agent_tasks.client.bulk_run import Progress
from agent_tasks.client.callers_connection import aside, borrowed, driver_connection
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.hooks import HookInfo, answer_hook, read_token, show_hook
from agent_tasks.client.keys import ApiKey, NewKey, all_keys, create_key, revoke_key
from agent_tasks.client.listing import Page, find_tasks
from agent_tasks.client.pauses import Pause, all_pauses, pause, resume_paused
from agent_tasks.client.purging import PurgeReport, purge_on_request
from agent_tasks.client.schedule_levers import pause_schedule, trigger_schedule, unpause_schedule
from agent_tasks.client.schedules import CatchUp, Schedule, put_schedule, remove_schedule
from agent_tasks.client.sending import Sending
from agent_tasks.client.serving import with_obstacles
from agent_tasks.client.signals import Receipt
from agent_tasks.client.spending import SpendKey, Spent, sum_up
from agent_tasks.client.submission import ScheduleOptions, Submission, SubmitOptions, Target, TaskInput, digests
from agent_tasks.client.webhooks import Webhooks
from agent_tasks.deployment import Deployment, Once
from agent_tasks.errors import IdempotencyConflict, InvalidInput
from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import ServerAway
from agent_tasks.store.queries import read
from agent_tasks.store.rows import Row
from agent_tasks.task.arguments import as_uuid, check_names, check_text, check_whole, refused
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import Asked, TaskFilter, one_filter
from agent_tasks.transitions import idempotency
from agent_tasks.transitions import schedule as schedule_rows
from agent_tasks.transitions.audit import entry
from agent_tasks.transitions.submit import NewTask, submit, submit_each

Given = Connection | OwnedTransaction | None
"""Whose transaction a submit is a part of; None: one of its own."""
Kind = Literal["signal", "timer", "children", "retry"]
"""The conditions that a task can wait for."""


class LivingTask(TaskSnapshot):
    """A task as `AgentTasks.living` lists it."""

    since: datetime
    """When it began to wait, to run or to be pending, or ended."""


class AgentTasks(Deployment):
    """One deployment: its Postgres, its Redis, its key. Thread-safe; nothing connects before it is used.

    `settings` default to the environment's, or those of a running `agent-tasks dev`.
    """

    _place: read.PlaceRow | None = None
    """Its database, as last seen."""

    @cached_property
    def webhooks(self) -> Webhooks:
        """Webhooks: endpoints, what was delivered, replays, and the feed of what happened."""
        return Webhooks(self)

    @Once
    def _submission(self) -> Submission:
        return Submission(self.settings, self.database)

    @Once
    def _after_commit(self) -> AfterCommit:
        return AfterCommit(self.database, self.publisher)

    def submit(
        self,
        agent: str | Agent,
        input: TaskInput = None,
        *,
        budget: Budget | None = None,
        identity: Identity | None = None,
        idempotency_key: str | None = None,
        session_id: str | None = None,
        callback_url: str | None = None,
        queue: str | None = None,
        priority: int = 5,
        ttl: float | None = None,
        metadata: dict[str, Any] | None = None,
        traceparent: str | None = None,
        connection: Any = None,
    ) -> TaskHandle:
        """Accept a task and return its handle at once.

        `input` holds the arguments of the agent's first step. `budget` overrides the agent's own, field by
        field. `priority` is 0 to 9, where 9 is the most urgent. `ttl` is seconds. `idempotency_key` is kept for 24
        hours per tenant and subject: the same key and request return the same task. `traceparent` (W3C Trace
        Context) is the span that the task's own is below: by default the current one of OpenTelemetry, else none.
        `connection` (SQLAlchemy Connection or Session, or psycopg; in `aio` their async kinds, too) makes the submit
        part of the caller's own transaction. `callback_url` is told when the task begins to wait for a signal or a
        timer, and when it ends: https or http, on the public internet.

        Raises UnknownAgent, InvalidInput, PayloadTooLarge, IdempotencyConflict, PermissionDenied for an identity that
        lacks the agent's scopes, and a psycopg.OperationalError (ServerAway) when Postgres is away. When Redis is away
        the task is accepted, and runs once Redis is back.
        """
        write = self.prepared(
            agent,
            input,
            budget=budget,
            identity=identity,
            idempotency_key=idempotency_key,
            session_id=session_id,
            callback_url=callback_url,
            queue=queue,
            priority=priority,
            ttl=ttl,
            metadata=metadata,
            traceparent=traceparent,
        )
        return write(None if connection is None else driver_connection(connection))

    def prepared(
        self,
        agent: str | Agent,
        input: TaskInput = None,
        *,
        budget: Budget | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Callable[[Given], TaskHandle]:
        """Do the part of a submit that needs no transaction; the function returned writes it, in the given one if any.

        Raises what `submit` raises of a request.
        """
        task = self.new_task(self.find_target(agent), input, budget, **options)
        if idempotency_key is not None:
            return partial(self._submit_once, task, digests(task, input), idempotency_key)
        return lambda connection: self._handle(task.id, self._write(connection, [task], self._insert)[0])

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

    def submit_many(
        self,
        agent: str | Agent,
        inputs: Iterable[TaskInput],
        *,
        budget: Budget | None = None,
        connection: Any = None,
        **options: Unpack[SubmitOptions],
    ) -> list[TaskHandle]:
        """Accept a task for each input, all or none, in one statement; otherwise as `submit`, without keys."""
        write = self.prepared_many(agent, inputs, budget=budget, **options)
        return write(None if connection is None else driver_connection(connection))

    def prepared_many(
        self, agent: str | Agent, inputs: Iterable[TaskInput], *, budget: Budget | None = None, **options: Any
    ) -> Callable[[Given], list[TaskHandle]]:
        """Do the part of a submit of many that needs no transaction, as `prepared` does."""
        target = self.find_target(agent)
        if not isinstance(inputs, Iterable) or isinstance(inputs, str | bytes | Mapping):  # pyright: ignore
            raise refused("inputs must be a list of inputs, each a mapping", inputs, "inputs")
        tasks = [self.new_task(target, value, budget, **options) for value in inputs]

        def write(connection: Given) -> list[TaskHandle]:
            rows = self._write(connection, tasks, self._insert) if tasks else []
            by_id = {row["id"]: row for row in rows}
            return [self._handle(task.id, by_id[task.id]) for task in tasks]

        return write

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

    def stop_bulk(self, id: UUID | str, *, identity: Identity | None = None) -> Bulk:
        """Stop an operation on many tasks after its batch under way; one that has ended stays as it is.

        Raises TaskNotFound, also where it is another's.
        """
        return stop_bulk(self, id, identity)

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

    def hook(self, url: str) -> HookInfo:
        """Return what the URL of a hook (`ctx.hook`) asks for; looking changes nothing.

        Raises HookNotFound, and HookClosed where it takes no more answers.
        """
        return show_hook(self, read_token(self, url))

    def answer_hook(self, url: str, payload: Any = None, *, key: str | None = None) -> Receipt:
        """Send the signal that the URL of a hook was made for, as a POST to it does.

        `key`: repeating it gets the first receipt. A signature is not asked for: who runs this program is trusted.
        Raises HookNotFound, HookClosed where it takes no more answers, InvalidInput for a payload that the waiting
        step refuses (the task keeps waiting), PayloadTooLarge.
        """
        return answer_hook(self, read_token(self, url), payload, key=key)

    def schedule(
        self,
        agent: str | Agent,
        input: TaskInput = None,
        *,
        name: str | None = None,
        cron: str | None = None,
        every: float | timedelta | None = None,
        timezone: str = "UTC",
        budget: Budget | None = None,
        catch_up: CatchUp = "one",
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Submit a task again and again, by `cron` (five fields, in `timezone`) or `every` so many seconds.

        The schedule is kept in Postgres under `name` (default: the agent's); calling this again changes it. `catch_up`
        says what becomes of firings missed while it was paused or nothing swept: `one` for all of them, `all` (at most
        the latest 1,000), or `none` (it fires a minute late at most). `options` are those of `submit`; the schedule
        belongs to the `identity` among them, and each tenant has names of its own. Raises InvalidInput, UnknownAgent,
        and PermissionDenied if somebody else of the tenant has the name.
        """
        return put_schedule(
            self,
            self._submission,
            agent,
            input,
            name=name,
            cron=cron,
            every=every,
            timezone=timezone,
            budget=budget,
            catch_up=catch_up,
            options={**options},
        )

    def schedules(self, *, identity: Identity | None = None) -> list[Schedule]:
        """List all schedules by name, or those that `identity` may see."""
        check_identity(identity)
        with self.database.connection() as connection:
            return [Schedule.from_row(row, identity) for row in schedule_rows.all_schedules(connection, identity)]

    def unschedule(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> bool:
        """Delete a schedule; return False if there is none of this name. Tasks it has submitted go on.

        `identity`: the caller, for whom schedules of others do not exist. None is a trusted program, which means the
        schedule of `tenant`; without that the one of no tenant, or else the only one of the name. Raises InvalidInput
        if several tenants have one.
        """
        return remove_schedule(self, name, tenant, identity)

    def pause_schedule(
        self, name: str, *, reason: str | None = None, tenant: str | None = None, identity: Identity | None = None
    ) -> Schedule:
        """Let a schedule fire no more until it is unpaused; one that is paused stays as it is.

        `tenant` and `identity` as of `unschedule`. Raises TaskNotFound where there is none of this name, InvalidInput.
        """
        return pause_schedule(self, name, reason, tenant, identity)

    def unpause_schedule(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Schedule:
        """Let a schedule fire again; what it has missed is made up for as its `catch_up` says. Raises TaskNotFound."""
        return unpause_schedule(self, name, tenant, identity)

    def trigger_schedule(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> TaskHandle:
        """Submit a schedule's task now, also while it is paused; its rhythm stays as it is.

        The task is for the identity of the schedule. Raises TaskNotFound, and what a submit raises.
        """
        row = trigger_schedule(self, self._submission, name, tenant, identity)
        metrics.SUBMITTED.labels(row["agent"]).inc()
        return TaskHandle(self, row["id"], identity, TaskSnapshot.from_row(row))

    def put_alert(
        self, name: str, rule: AlertRule, *, tenant: str | None = None, identity: Identity | None = None
    ) -> Alert:
        """Make an alert, or change the rule of the one of this name, and return it as it stands.

        It watches the tasks of `tenant`, or of that of `identity`, which needs the scope `tasks:all` there; a trusted
        program that names no tenant has all tasks watched. A change of its state is a line of the sweeper's log and
        the event `alert.firing` or `alert.resolved` for the tenant's webhooks. Where there was one it keeps its state
        until it is checked, at once. Raises InvalidInput, also for more than 100 in a tenant, and PermissionDenied.
        """
        return put_alert(self, name, rule, tenant=tenant, identity=identity)

    def alert(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Alert:
        """Return an alert. Raises TaskNotFound, also for one that `identity` may not see."""
        return find_alert(self, name, tenant=tenant, identity=identity)

    def alerts(self, *, tenant: str | None = None, identity: Identity | None = None) -> list[Alert]:
        """List the alerts by name: all of them, those of a tenant, or those that `identity` may see."""
        return all_alerts(self, tenant=tenant, identity=identity)

    def remove_alert(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> bool:
        """Remove an alert; where it fires, `alert.resolved` is told.

        Returns False if there is none of this name that `identity` may see.
        """
        return remove_alert(self, name, tenant=tenant, identity=identity)

    def create_key(
        self,
        *,
        tenant: str = "",
        subject: str,
        scopes: Iterable[str],
        expires_in: float | timedelta | None = None,
    ) -> NewKey:
        """Make an API key for the gateway, with which whoever has it acts as `subject` of `tenant`.

        `scopes` are those of the gateway (`tasks:write`, `tasks:read`, `tasks:signal`, `tasks:cancel`, `tasks:all`,
        `admin`) and others that agents ask for. `expires_in`: seconds or a timedelta; None: it is valid until it is
        revoked. `NewKey.key` is shown this once. Raises InvalidInput.
        """
        return create_key(self, tenant=tenant, subject=subject, scopes=scopes, expires_in=expires_in)

    def keys(self, tenant: str | None = None) -> list[ApiKey]:
        """The API keys of a tenant, or all of them, the oldest first; also those that have expired or were revoked."""
        return all_keys(self, tenant)

    def revoke_key(self, id: str) -> bool:
        """End an API key now, for good; False where there is none of this id."""
        return revoke_key(self, id)

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

    def find_target(self, agent: str | Agent) -> Target:
        """Return what a submit must know of an agent. Raises UnknownAgent."""
        return self._submission.find_target(agent)

    def new_task(self, target: Target, value: Any, budget: Budget | None, **options: Any) -> NewTask:
        """Return a request as a task not yet accepted. Raises InvalidInput, PayloadTooLarge."""
        return self._submission.new_task(target, value, budget, **options)

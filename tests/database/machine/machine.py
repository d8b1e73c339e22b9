"""The machine: what there is to move, and what is compared after each move."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from agent_tasks import AgentTasks, Budget, BudgetExhausted, Identity, TaskSnapshot
from agent_tasks.client.handle import TaskHandle
from agent_tasks.store.database import Connection
from agent_tasks.sweeps import orphans
from agent_tasks.transitions.claim import Claim, claim_suspect
from tests import database
from tests.database import Row, query
from tests.database.machine import model
from tests.database.machine.invariants import Move, check_all
from tests.database.machine.model import Task, Waits
from tests.database.machine.moment import Moment, read_bells
from tests.database.machine.wire import Wire
from tests.database.machine.writes import WRITES

ANA = Identity(subject="ana", tenant="acme", scopes=("write",))
LIMITED = Budget(seconds=3600, tokens=100, usd=2.0, steps=300, calls=12)
BUDGETS = (None, LIMITED)
any_one = st.integers(min_value=0, max_value=7)
"""Which of several; 0 is the newest."""


class Machine(RuleBasedStateMachine):
    """Every move is made on Postgres and on the model; then they are compared, and the invariants checked."""

    def __init__(self, client: AgentTasks) -> None:
        super().__init__()
        self.client = client
        client.redis.flushall()
        for table in ("tasks", "idempotency_keys", "workers", "watches", "pauses"):
            query(client, f"DELETE FROM agent_tasks.{table}")
        orphans.run_once(client)
        client.__dict__.pop("publisher", None)
        self.wire = client.__dict__["publisher"] = Wire(client)
        self.tasks: dict[UUID, Task] = {}
        self.claims: dict[UUID, Claim] = {}
        self.lost: list[Claim] = []
        self.messages: list[tuple[UUID, str, int]] = []
        self.keys: dict[tuple[str | None, bool], tuple[Task, int]] = {}
        self.watched: dict[UUID, tuple[TaskHandle, TaskSnapshot]] = {}
        self.pauses: list[tuple[str, str]] = []
        """What is paused: the kind, and the name or the id."""
        self.moves = 0
        self.before = Moment.now(client)

    # --- what there is --------------------------------------------------------------------------------------

    def some(self, *statuses: str) -> list[Task]:
        return [task for task in self.tasks.values() if task.status in statuses]

    @property
    def living(self) -> list[Task]:
        return self.some(*model.LIVING)

    @property
    def ended(self) -> list[Task]:
        return self.some(*model.ENDS)

    def paused(self, task: Task) -> bool:
        return any(self.holds(target, task) for target in self.pauses)

    def holds(self, target: tuple[str, str], task: Task) -> bool:
        kind, name = target
        if kind == "task":
            return name in {str(each.id) for each in (task, *task.above())}
        return kind != "tenant" or task.identity is not None

    def end_pause(self, target: tuple[str, str]) -> None:
        self.client.resume_paused(**{target[0]: target[1]})
        self.pauses.remove(target)

    def worker(self, which: int, *, undoes: bool = False) -> Task:
        """A task whose step a worker runs; it is claimed, submitted, or let go on first where need be."""
        there = [t for t in self.some("pending", "running") if (t.undo_step is not None) == undoes]
        free = [task for task in there if task.status == "running" or not self.paused(task)]
        task = pick(free or there, which) if there else self.accept(LIMITED, ANA)
        if task.status == "pending":
            for target in [target for target in self.pauses if self.holds(target, task)]:
                self.end_pause(target)
        while task.status == "pending":
            if task.suspect:
                self.quarantine(task.suspect)
            else:
                self.answer(task.id, task.step, task.number)
        return task

    def answer(self, task_id: UUID, step: str, number: int) -> None:
        task = self.tasks[task_id]
        taken = database.answer(self.client, task_id, step, number, lease_seconds=600)
        assert (taken is not None) == (task.claimable(step, number) and not self.paused(task))
        if taken is not None:
            self.begin(taken)

    def quarantine(self, suspect: int) -> None:
        """A process of the quarantine takes one of the suspects."""
        waiting = [task for task in self.some("pending") if task.suspect == suspect and not self.paused(task)]
        served = {f"echo.{task.step}" for task in waiting}
        with self.client.database.connection() as connection:
            taken = claim_suspect(
                connection, suspect=suspect, queues=["agents"], steps=list(served), worker="q", lease_seconds=600
            )
        assert isinstance(taken, Claim)
        assert taken.id in {task.id for task in waiting}
        self.begin(taken)

    def begin(self, taken: Claim) -> None:
        task = self.tasks[taken.id]
        task.claim()
        self.client.publish([self.client.find_row(taken.id)])
        self.hold(task, taken)

    def write(self, task: Task, write: Callable[[Connection, Claim], Any]) -> Any:
        """A write of the worker that holds the step; the task and others that it changed are published as they are."""
        with self.client.database.connection() as connection:
            written = write(connection, self.claims[task.id])
        rows = [row for row in written if isinstance(row, dict)] if isinstance(written, list) else []
        others = [row for row in rows if row["id"] != task.id]
        self.client.publish([self.client.find_row(task.id), *others])
        return written

    def commit(self, task: Task, write: Callable[[Connection, Claim], Any]) -> Any:
        """As `write`; None where the step's seconds or steps are used up, and nothing was committed."""
        limit = task.budget.steps
        if limit is not None and task.spent["steps"] >= limit:
            return None  # no worker begins such a step
        try:
            row = self.write(task, write)
        except BudgetExhausted:
            assert task.over_time
            return None
        assert not task.over_time
        return row

    def hold(self, task: Task, claim: Claim) -> None:
        if task.id in self.claims:
            self.lost.append(self.claims[task.id])
        self.claims[task.id] = claim

    def accept(self, budget: Budget | None, identity: Identity | None, **options: Any) -> Task:
        options = {"value": 1, "key": None, **options}
        handle = self.client.submit(
            "echo", {"value": options["value"]}, budget=budget, identity=identity, idempotency_key=options["key"]
        )
        return self.tasks.setdefault(handle.id, Task(handle.id, budget or Budget(), identity))

    # --- after each move ------------------------------------------------------------------------------------

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        self.moves += 1
        for task in self.some("waiting"):
            task.stood |= self.paused(task)
        now = Moment.now(self.client)
        assert {task_id: stands(now, row) for task_id, row in now.tasks.items()} == {
            task_id: expected(task) for task_id, task in self.tasks.items()
        }
        if not self.tasks:
            return
        watched = list(self.tasks)[self.moves % len(self.tasks)]
        handle, last = self.watched.get(watched) or ((new := self.client.get(watched)), new.snapshot())
        seen = handle.snapshot()
        self.watched[watched] = handle, seen
        paused = {task.id for task in self.living if self.paused(task)}
        check_all(Move(self.client, self.wire, self.tasks, self.before, now, (last, seen), self.stale(), paused))
        rung = [row for row in self.wire.sent if row["status"] == "pending"]
        rung.sort(key=lambda row: list(self.tasks).index(row["id"]))  # sweeps take what is due in any order
        self.messages += [(row["id"], row["step"], row["step_number"]) for row in rung]
        self.wire.sent.clear()
        read_bells(self.client, drain=True)
        self.before = now

    def stale(self) -> list[tuple[str, Claim]]:
        """Two runs that have lost their step, each with what it tries to write this time."""
        names = sorted(WRITES)
        return [(names[(self.moves + n) % len(names)], claim) for n, claim in enumerate(self.lost[-2:])]


def pick(candidates: Sequence[Any], which: int) -> Any:
    return candidates[-1 - which % len(candidates)]


def stands(now: Moment, row: Row) -> dict[str, Any]:
    """What the model speaks of, as it is in the database."""
    waits = row["waiting_for"] or {}
    return {
        "status": row["status"],
        "step": (row["step"], row["step_number"], row["run"], row["attempt"], row["uncounted"]),
        "tries": (row["failures"], row["crashes"], row["suspect"]) if row["finished_at"] is None else None,
        "waits": (waits.get("kind"), waits.get("names", []), waits.get("mode"), waits.get("on_timeout")),
        "ending": (row["ending"] or {}).get("status") if row["finished_at"] is None else None,
        "undo": row["undo_step"],
        "partial": row["partial"] is not None,
        "family": (row["parent_id"], row["parent_step"], row["child_index"], row["resumed_from"]),
        "inbox": [(s["name"], s["signal_id"]) for s in now.of("signals", row["id"]) if s["consumed_step"] is None],
    }


def expected(task: Task) -> dict[str, Any]:
    waits = task.waits or Waits("")
    mode = ("all" if waits.every else "any") if waits.kind == "signal" else None
    return {
        "status": task.status,
        "step": (task.step, task.number, task.run, task.attempt, task.uncounted),
        "tries": (task.failures, task.crashes, task.suspect) if task.living else None,
        "waits": (waits.kind or None, list(waits.names), mode, waits.on_timeout),
        "ending": task.ending if task.living else None,
        "undo": task.undo_step,
        "partial": task.partial,
        "family": (
            task.parent.id if task.parent else None, task.parent_step, task.index,
            task.resumed_from.id if task.resumed_from else None,
        ),
        "inbox": task.inbox,
    }  # fmt: skip

"""One life of a task, in a process of its own: from its submit, or from where the last life was cut."""

import sys
import types
from typing import Any
from uuid import UUID

import agent_tasks
from agent_tasks import moments
from agent_tasks.authoring.agent import loaded_steps
from agent_tasks.authoring.context import StepContext
from agent_tasks.client import submission
from agent_tasks.client.handle import TaskHandle
from agent_tasks.engine.process.loading import queues_of_agents
from agent_tasks.task.status import TaskStatus
from agent_tasks.testing.calls import Calls
from agent_tasks.testing.crash.boundaries import Boundaries
from agent_tasks.testing.crash.journal import Journal
from agent_tasks.testing.crash.operations import CutOperations, in_call
from agent_tasks.testing.crash.plan import Plan
from agent_tasks.testing.crash.watch import Watch, effect_of, user_frame
from agent_tasks.testing.databases import empty
from agent_tasks.testing.deployment import settings_of_test
from agent_tasks.testing.runner import Runner

_ID = "01999999-9999-7000-8000-{:012x}"
"""The ids of tasks, the same in each life: what a step makes of them is the same, too."""
_LEASE_SECONDS = 1.0
_SAID: dict[str, str] = {
    "claimed": "{} is claimed",
    "returned": "{} has returned, and nothing of it is committed",
    "committed": "{} is committed, and nobody is told",
}
"""Those moments of a worker at which Postgres holds something else than at the boundary before."""
_MOST_ROUNDS = 1000
_ENOUGH_DAYS = 400.0


class CutRunner(Runner):
    """A runner whose steps run with boundaries, and whose worker takes what was cut."""

    def __init__(self, plan: Plan, journal: Journal, calls: Calls | None) -> None:
        self._plan = plan
        self._journal = journal
        self._boundaries = Boundaries(journal, plan.cut)
        self.watch = Watch(
            lambda what: journal.note("outside", found=what), lambda: in_call.get() is not None, plan.known
        )
        if plan.observes:
            self.watch.begin()  # before there is any thread in which steps run
        super().__init__(
            settings_of_test(plan.database_url, {"ring_seconds": _LEASE_SECONDS}, lease_seconds=_LEASE_SECONDS)
        )
        if calls is not None:
            self.calls = calls

    def cut_from_now(self) -> None:
        def reached(moment: moments.Moment, step: str | None, joined: object) -> None:
            if said := _SAID.get(moment):
                self._boundaries.reach(said.format(f"step {step}" if step else "a change"))

        moments.watch(reached)

    def _run_rung(self) -> bool:
        queues = queues_of_agents(self.settings)
        return super()._run_rung() or self._worker.run_suspect(queues, sorted(loaded_steps()))

    def _operations(self, *args: Any) -> CutOperations:
        return CutOperations(
            *args,
            calls=self.calls,
            ahead=lambda: self.clock.ahead,
            boundaries=self._boundaries,
            journal=self._journal,
            answers=None if self._plan.answers is None else dict(self._plan.answers),
            watch=self.watch,
        )


def live(plan: Plan, journal: Journal, calls: Calls | None = None) -> None:
    """Live the life of the plan, and note how the task ended. Changes its process for good."""
    if plan.answers is None or plan.observes:
        _audit(plan, journal)
    _note_keys(journal)
    kit = CutRunner(plan, journal, calls)
    agent_tasks._default = kit.client  # pyright: ignore[reportPrivateUsage]
    with kit.client.database.connection() as connection:
        if not plan.resumes:
            empty(connection)
        row: Any = connection.execute("SELECT count(*) AS tasks FROM agent_tasks.tasks").fetchone()
    _number_tasks(row["tasks"])
    if plan.resumes:
        task = kit.client.get(UUID(_ID.format(0)))
        kit.clock.advance(seconds=3 * _LEASE_SECONDS)
    else:
        task = kit.submit(plan.agent, plan.input)
    before = kit.watch.state() if plan.observes else {}
    kit.cut_from_now()
    _drive(kit, task, plan)
    kit.watch.end()
    if plan.observes and (changed := kit.watch.changed(before)):
        journal.note("outside", found=f"a step changes {', '.join(changed)}, which no other process sees")
    ended = task.snapshot()
    error = None if ended.error is None else {"type": str(ended.error.type), "message": ended.error.message}
    journal.note("end", status=str(ended.status), result=ended.result, error=error)


def _drive(kit: CutRunner, task: TaskHandle, plan: Plan) -> None:
    """Run the task to its end: answer the signals that are waited for, and let time pass."""
    for _ in range(_MOST_ROUNDS):
        kit.run_until_idle()
        if task.snapshot().status.is_terminal:
            return
        if not _answer(kit, plan) and not kit.clock.advance_to_next(days=_ENOUGH_DAYS):
            return


def _answer(kit: CutRunner, plan: Plan) -> bool:
    has_answered = False
    for found in kit.client.living(status=TaskStatus.WAITING):
        waits = found.waiting_for
        for name in (waits.name or "").split(", ") if waits is not None and waits.kind == "signal" else ():
            if name in plan.signals:
                handle = kit.client.get(found.id)
                handle.signal(name, plan.signals[name], signal_id=f"{found.step_number} {name}")
                has_answered = True
    return has_answered


def _number_tasks(first: int) -> None:
    """Give tasks that are made from now on numbers for ids."""
    numbers = iter(range(first, sys.maxsize))
    submission.uuid_utils = types.SimpleNamespace(uuid7=lambda: UUID(_ID.format(next(numbers))))  # type: ignore[attr-defined]


def _note_keys(journal: Journal) -> None:
    """Note which calls use their idempotency key."""
    read = StepContext.idempotency_key.fget
    assert read is not None

    def idempotency_key(context: StepContext) -> str:
        key = read(context)
        journal.note("keyed", key=key)
        return key

    StepContext.idempotency_key = property(idempotency_key)  # type: ignore[assignment,misc]


def _audit(plan: Plan, journal: Journal) -> None:
    """Note each effect on the world: of a call in the first life, of a step's own code in others."""

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if journal.is_writing or (effect := effect_of(event, arguments)) is None:
            return
        key = in_call.get()
        if key is not None:
            journal.note("effect", key=key, effect=effect)
        elif plan.observes and (frame := user_frame()) is not None:
            journal.note("outside", found=f"{frame.f_code.co_qualname} {effect}")

    sys.addaudithook(heard)

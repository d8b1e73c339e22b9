"""Runner: a deployment, its worker and its sweeper in the process of a test."""

import threading
from typing import Any, Unpack
from uuid import UUID

from agent_tasks.authoring.agent import Agent
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.submission import SubmitOptions, TaskInput
from agent_tasks.doorbell.mirror import PREFIX
from agent_tasks.engine.process.loading import load
from agent_tasks.settings import Settings
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.task.budget import Spend
from agent_tasks.task.event import EventType
from agent_tasks.testing.calls import Calls
from agent_tasks.testing.clock import Clock
from agent_tasks.testing.deployment import TestedDeployment
from agent_tasks.testing.operations import TestedOperations
from agent_tasks.testing.sweeps import SWEEPS, Kind
from agent_tasks.testing.worker import Worker


class Runner:
    """A deployment of the test's own: its database, its clock, and worker and sweeper in the process of the test."""

    def __init__(self, settings: Settings) -> None:
        """Create a runner on a database that is ready; loads the agents that the settings name.

        Raises InvalidInput for a module that does not load.
        """
        load(settings)
        self.settings = settings
        self.client = TestedDeployment(settings, self._follow)
        """The deployment, with all that `AgentTasks` can do; also that of `agent_tasks.submit` during the test."""
        self.calls = Calls()
        """Stubs for the recorded calls of steps."""
        self.clock = Clock(self.client, self._run)
        """The clock by which all that is due is judged."""
        self._sweeper = Sweeper(self.client)
        self._worker = Worker(self.client, self._operations)
        self._running = threading.Lock()

    def submit(self, agent: str | Agent, input: TaskInput = None, **options: Unpack[SubmitOptions]) -> TaskHandle:
        """Accept a task, as `AgentTasks.submit` does; `run_until_idle` runs it."""
        return self.client.submit(agent, input, **options)

    def run_until_idle(self) -> None:
        """Run steps and sweeps until nothing is due: what is left waits for a signal, or for a later time.

        Raises UnexpectedCall where a step made a call that is neither stubbed nor allowed.
        """
        self._run(None)

    def path(self, task: TaskHandle) -> list[str]:
        """Return the steps that a task has begun, in order, each once however often it was tried or parked."""
        begun = {e.data["step_number"]: e.data["step"] for e in task.events() if e.type == EventType.CLAIMED and e.data}
        return list(begun.values())

    def spent(self, task: TaskHandle) -> Spend:
        """Return what a task has spent so far, with its children that have ended."""
        return task.snapshot().budget.spent

    def assert_path(self, task: TaskHandle, *steps: str) -> None:
        """Fail unless the task has begun these steps, in this order."""
        assert self.path(task) == list(steps), f"task {task.id} went another way: {' → '.join(self.path(task))}"

    def assert_spent(self, task: TaskHandle, **amounts: float) -> None:
        """Fail unless the task has spent exactly this much of each resource that is named."""
        spent = self.spent(task)
        found = {name: getattr(spent, name) for name in amounts}
        assert found == amounts, f"task {task.id} spent {found}"

    def reset(self) -> None:
        """Forget what a test has stubbed, called and rung for."""
        self.calls.reset()
        self.client.doorbell.forget()
        self.clock.reset()

    def close(self) -> None:
        self._worker.close()
        self.client.close()

    def _run(self, kind: Kind | None) -> None:
        """Run what is due: of one kind and what was rung for, or all that is."""
        if not self._running.acquire(blocking=False):
            return  # a step waits for another task: it is in the midst of what is being run
        try:
            if kind is not None and not SWEEPS[kind](self.client):
                raise RuntimeError(f"{kind} are due that cannot be moved: another connection has locked their rows")
            while self._run_rung() or (kind is None and self._sweeper.run_due()):
                continue
        finally:
            self._running.release()

    def _run_rung(self) -> bool:
        has_run = False
        while self._worker.run_next():
            has_run = True
            self.calls.check()
        return has_run

    def _follow(self, channel: str) -> None:
        """Run what is due for somebody who waits for a task. Raises TimeoutError where that does not end it."""
        self.run_until_idle()
        task = self.client.get(UUID(channel.removeprefix(PREFIX))).snapshot()
        if not task.status.is_terminal:
            waits = task.waiting_for
            why = f"waits for {waits.name or waits.kind}" if waits is not None else f"is {task.status}"
            raise TimeoutError(
                f"Task {task.id} does not end by itself: it {why}. Send the signal, or let time pass by "
                "agent_tasks.clock.advance(…)."
            )

    def _operations(self, *args: Any) -> TestedOperations:
        return TestedOperations(*args, calls=self.calls, ahead=lambda: self.clock.ahead)

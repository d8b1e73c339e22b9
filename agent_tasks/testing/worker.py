"""The worker of a test, in its process: it takes bells from memory, and runs one step at a time."""

from collections.abc import Callable, Sequence
from typing import Any

from agent_tasks.deployment import Deployment
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.observers.flower import Telemetry
from agent_tasks.engine.observers.mirror import Mirroring
from agent_tasks.engine.process.loops import Loops
from agent_tasks.engine.process.threads import CallThreads, DatabaseThreads
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.admission import Admission
from agent_tasks.engine.steps.commit import Commits
from agent_tasks.engine.steps.executor import Executor
from agent_tasks.engine.steps.operations import StepOperations
from agent_tasks.engine.steps.publication import Publication
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.engine.steps.unfinished import Unfinished
from agent_tasks.testing.deployment import TestedDeployment
from agent_tasks.transitions.claim import Claim, claim_suspect

WORKER = "test"
_DATABASE_THREADS = 4


class Unobserved(Telemetry):
    """Telemetry that tells nobody."""

    def __init__(self) -> None:
        pass

    def started(self, run: StepRun) -> None:
        pass

    def ended(self, run: StepRun, state: str, error: BaseException | None = None) -> None:
        pass


class Unmirrored(Mirroring):
    """A mirror that is not there."""

    def __init__(self, deployment: Deployment) -> None:
        pass

    def note(self, task_id: Any) -> None:
        pass

    def forget(self, task_id: Any) -> None:
        pass


class Worker:
    """The engine of a worker without Celery, leases or heartbeats: nobody else takes its steps."""

    def __init__(self, client: TestedDeployment, operations: Callable[..., StepOperations]) -> None:
        """`operations` makes those of each step, as `Admission` is given them."""
        self._client = client
        self._active = ActiveRuns()
        self._database_threads = DatabaseThreads(_DATABASE_THREADS)
        call_threads = CallThreads(client.settings.call_threads)
        self._call_threads = call_threads
        self._loops = Loops(client.settings.async_steps, self._database_threads, call_threads)
        self._combiners = Combiners(client, WORKER)
        telemetry, mirroring = Unobserved(), Unmirrored(client)
        commits = Commits(client, self._combiners)
        publication = Publication(client, self._combiners, mirroring)
        self._executor = Executor(
            client.settings,
            self._loops,
            self._active,
            Admission(
                client,
                self._combiners,
                self._loops,
                changed=mirroring.note,
                unclaimed=lambda: None,
                operations=operations,
            ),
            commits,
            publication,
            Unfinished(self._active, commits, publication, telemetry),
            telemetry,
        )

    def run_next(self) -> bool:
        """Run the step that was rung for first, to its commit; returns False where nothing was rung for."""
        wanted = self._client.doorbell.take()
        if wanted is None:
            return False
        if (claim := self._combiners.claim(wanted)) is not None:
            self.run(claim)
        return True

    def run_suspect(self, queues: Sequence[str], steps: Sequence[str]) -> bool:
        """Run a step whose process was lost, and that only the quarantine takes; returns False where there is none."""
        lease_seconds = self._client.settings.lease_seconds
        for suspect in (1, 2):
            with self._client.database.connection() as connection:
                claim = claim_suspect(
                    connection,
                    suspect=suspect,
                    queues=queues,
                    steps=steps,
                    worker=WORKER,
                    lease_seconds=lease_seconds,
                )
            if isinstance(claim, ValueError):
                raise claim
            if claim is not None:
                self.run(claim)
                return True
        return False

    def run(self, claim: Claim) -> None:
        """Run a claimed step to its commit."""
        self._executor.run_apart(claim)
        self._active.wait_until_empty(None)

    def close(self) -> None:
        self._loops.current.stop()
        self._database_threads.shutdown(wait=False, cancel_futures=True)
        self._call_threads.shutdown(wait=False, cancel_futures=True)

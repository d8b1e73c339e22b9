"""Steps that run here as in a worker's executor, on a real Postgres: claimed, invoked, decided and committed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from agent_tasks import AgentTasks, Context, Retry, SyncContext
from agent_tasks.authoring.agent import find_agent
from agent_tasks.authoring.step import Step
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.process.loop import StepLoop
from agent_tasks.engine.steps.commit import Commits
from agent_tasks.engine.steps.decision import decide, decide_failure
from agent_tasks.engine.steps.invocation import invoke_async, invoke_plain
from agent_tasks.engine.steps.operations import StepOperations
from agent_tasks.engine.steps.run import Raised, StepResult, StepRun
from agent_tasks.transitions.claim import Claim
from tests import agents  # noqa: F401 (it declares echo)
from tests.database import Row, claimed, lapse, query

T = TypeVar("T")
AGAIN = Retry(attempts=20, base=0)


class Driver:
    """A worker process without Celery: one loop, its combiners, and what commits a step."""

    def __init__(self, client: AgentTasks, loop: StepLoop) -> None:
        self.client = client
        self.loop = loop
        self.combiners = Combiners(client, "w")
        self.commits = Commits(client, self.combiners)

    def run(
        self,
        task_id: UUID,
        function: Callable[..., Any],
        operations: type[StepOperations] = StepOperations,
        **options: Any,
    ) -> StepRun:
        """One try of `function` as the task's current step, up to what came of it in `outcome`; nothing is settled."""
        claim = claimed(self.client, task_id)
        mine = operations(self.client, claim, self.combiners, lambda _: None, **options)
        step = Step("echo", "echo", function, AGAIN)
        run = StepRun(claim, find_agent("echo"), step, {}, self._context(step, claim, mine), mine, quantum_ends=0)
        mine.context = run.context
        run.outcome = self.on_loop(invoke_async(run, 1.0)) if step.is_async else invoke_plain(run)  # type: ignore[attr-defined]
        return run

    def settle(self, run: StepRun) -> Row:
        """The task's row, once what came of the try is committed. A retry is due at once."""
        decision = decide(run, result_of(run), limit=self.client.settings.payload_limit, draining=False)
        row = self.commits.commit(run.claim, decision, lambda refused: decide_failure(run, refused)).row
        if row["status"] == "waiting":
            sql = (
                "UPDATE agent_tasks.tasks "
                "SET status = 'pending', waiting_for = NULL, due_at = clock_timestamp() WHERE id = %s"
            )
            query(self.client, sql, run.claim.id)
        return row

    def crash(self, run: StepRun) -> None:
        """The worker is lost before anything is settled."""
        lapse(self.client, run.claim.id)

    def on_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop.loop).result(60)

    def _context(self, step: Step, claim: Claim, operations: StepOperations) -> Context | SyncContext:
        kind = Context if step.is_async else SyncContext
        return kind(
            task_id=claim.id,
            agent=claim.agent,
            step=claim.step,
            step_number=claim.step_number,
            attempt=claim.attempt,
            identity=None,
            session_id=None,
            limit=claim.budget,
            spent=claim.spent,
            reserved=claim.reserved,
            held=claim.held,
            operations=operations,
            loop=lambda: self.loop.loop,
        )


def result_of(run: StepRun) -> StepResult:
    return run.outcome  # type: ignore[attr-defined]


def value_of(run: StepRun) -> Any:
    """What the step returned. Raises what it raised."""
    result = result_of(run)
    if isinstance(result, Raised):
        raise result.error
    return result.value  # type: ignore[union-attr]


@contextmanager
def driving(client: AgentTasks) -> Iterator[Driver]:
    with ThreadPoolExecutor(4) as database_threads, ThreadPoolExecutor(8) as call_threads:
        loop = StepLoop(100, database_threads, call_threads)
        try:
            yield Driver(client, loop)
        finally:
            loop.stop()


def in_threads(*functions: Callable[[], T]) -> list[T]:
    """What these return, each in a plain thread of its own, which knows of no context."""
    values: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(number: int, function: Callable[[], T]) -> None:
        try:
            values[number] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [values[number] for number in sorted(values)]

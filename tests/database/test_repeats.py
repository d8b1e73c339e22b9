"""A repeat sees what was seen before: generated steps on the real engine, whose worker is lost at any write."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent_tasks import AgentTasks, Context, SyncContext
from agent_tasks.authoring.calls.operations import Answer, Intent
from agent_tasks.engine.steps import calls
from agent_tasks.engine.steps.run import Raised
from tests.database import programs as p
from tests.database import query, row_of, submitted
from tests.database.driving import Driver, driving, result_of
from tests.database.perishable import Perishable
from tests.database.programs import Boom, Program, Site, Trial, World, perform, perform_plainly

FLAKY_TRIES = 5
"""After these nothing fails any more, so that every program comes to an end."""
seeds = st.integers(0, 2**32)


class Witnessed(Perishable):
    """Such operations, which note what was recorded of the calls of a world."""

    def __init__(self, *args: Any, world: World, recorded: dict[Site, set[str]], moments: int | None) -> None:
        super().__init__(*args, moments=moments)
        self.world = world
        self.recorded = recorded

    def end_call(self, intent: Intent, answer: Answer, order: int) -> Any:
        value = super().end_call(intent, answer, order)
        with self.world.lock:
            self.world.recorded.add(intent.key)
            for site, outcomes in self.world.outcomes.items():
                if value in outcomes:
                    self.recorded[site].add(value)
        return value


class Course:
    """A program's course from its first try to its end."""

    def __init__(
        self, driver: Driver, program: Program, seed: int, crashes: list[int], *, plainly: bool = False
    ) -> None:
        self.driver = driver
        self.program = program
        self.plainly = plainly
        self.world = World()
        self.recorded: dict[Site, set[str]] = defaultdict(set)
        self.tries, self.retries, self.losses = 0, 0, 0
        self.error: dict[str, Any] | None = None
        self.seen: dict[Site, str] = {}
        self.needs_keys = False
        """Whether the last try made equal calls from threads that the step knows nothing of."""
        self.task_id = submitted(driver.client)
        self._chances = random.Random(seed)
        self._crashes = list(crashes)
        while self._tried():
            assert self.tries < 40, "it does not come to an end"

    def _tried(self) -> bool:
        """One try; whether there is another one."""
        self.tries += 1
        moments = self._crashes.pop(0) if self._crashes else None
        found = query(self.driver.client, "SELECT idempotency_key FROM agent_tasks.calls WHERE status = 'completed'")
        self.world.recorded |= {row["idempotency_key"] for row in found}
        trials: list[Trial] = []

        def trial(ctx: Any) -> Trial:
            chance = random.Random(self._chances.random())
            trials.append(Trial(self.world, ctx, chance, self.tries <= FLAKY_TRIES, lambda: ctx.cancelled))
            return trials[0]

        async def step(ctx: Context) -> Any:
            return await perform(self.program, trial(ctx))

        def plain_step(ctx: SyncContext) -> Any:
            return perform_plainly(self.program, trial(ctx))

        run = self.driver.run(
            self.task_id,
            plain_step if self.plainly else step,
            Witnessed,
            world=self.world,
            recorded=self.recorded,
            moments=moments,
        )
        self._check(trials[0].seen)
        assert isinstance(run.operations, Perishable)
        if run.operations.is_lost:
            self.losses += 1
            self.driver.crash(run)
            return True
        row = self.driver.settle(run)
        if row["status"] == "waiting":
            self.retries += 1
            result = result_of(run)
            assert isinstance(result, Raised)
            assert isinstance(result.error, Boom | BaseExceptionGroup), result.error
            return True
        self.error = row["error"]
        self.seen = trials[0].seen
        self.needs_keys = any(times > 1 for times in trials[0].unordered.values())
        return False

    def _check(self, seen: dict[Site, str]) -> None:
        for site, value in seen.items():
            if site[-1] != "charge":
                assert value in self.world.outcomes[site], f"{site} was given the outcome of another call: {value}"
        assert self.world.again == [], "made again although its outcome was recorded"

    def check_end(self, *, may_be_lost: bool) -> None:
        if self.error is not None:
            if self.needs_keys and self.error["type"] == "invalid_input":
                assert "Call blocking is made twice" in self.error["message"], self.error
                return
            assert may_be_lost, self.error
            assert self.error["type"] == "context_lost", self.error
            return
        twice = {site: outcomes for site, outcomes in self.recorded.items() if len(outcomes) > 1}
        assert twice == {}, "recorded under two keys"
        spent = row_of(self.driver.client, self.task_id)["spent_tokens"]
        sql = "SELECT coalesce(sum(tokens), 0)::int AS n FROM agent_tasks.charges WHERE task_id = %s"
        charges = query(self.driver.client, sql, self.task_id)
        seen = sum(int(value) for site, value in self.seen.items() if site[-1] == "charge")
        assert spent == charges[0]["n"] >= seen
        kinds = set(str(self.program).replace("'", " ").split())
        if {"nested", "tried"} & kinds:
            return  # what a call's function charges counts each time that the call is made
        assert spent <= sum(self.world.charges.values()), "a charge was counted twice"
        if not self.retries and "race" not in kinds:  # the loser of a race may have charged, and was not told
            assert spent == seen, "a charge was counted that was not made"


@pytest.fixture
def driver(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setattr(calls, "_PATIENCE_SECONDS", 2.0)
    with driving(client) as driver:
        yield driver


def generated(max_examples: int) -> Any:
    return settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


def check_structured(driver: Driver, program: Program, seed: int, crashes: list[int]) -> None:
    """Branches, loops, fallbacks, time-outs, nested and tried calls, charges: all is as it was before."""
    Course(driver, program, seed, crashes).check_end(may_be_lost=False)


def check_timely(driver: Driver, program: Program, seed: int, crashes: list[int]) -> None:
    """What follows the order of time swaps nothing in silence."""
    Course(driver, program, seed, crashes).check_end(may_be_lost=True)


def check_plain(driver: Driver, program: Program, seed: int, crashes: list[int]) -> None:
    Course(driver, program, seed, crashes, plainly=True).check_end(may_be_lost=False)


@generated(25)
@given(program=p.structured, seed=seeds, crashes=p.crashes)
def test_structured_steps_repeat_exactly(driver: Driver, program: Program, seed: int, crashes: list[int]) -> None:
    check_structured(driver, program, seed, crashes)


@generated(12)
@given(program=p.timely, seed=seeds, crashes=p.crashes)
def test_steps_that_follow_the_order_of_time_repeat_or_say_that_they_do_not(
    driver: Driver, program: Program, seed: int, crashes: list[int]
) -> None:
    check_timely(driver, program, seed, crashes)


@generated(6)
@given(program=p.threaded, seed=seeds, crashes=p.crashes)
def test_steps_with_threads_repeat_or_say_that_they_do_not(
    driver: Driver, program: Program, seed: int, crashes: list[int]
) -> None:
    check_timely(driver, program, seed, crashes)


@generated(10)
@given(program=p.plain, seed=seeds, crashes=p.crashes)
def test_plain_steps_repeat_exactly(driver: Driver, program: Program, seed: int, crashes: list[int]) -> None:
    check_plain(driver, program, seed, crashes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("programs", "check", "number"),
    [
        (p.structured, check_structured, 400), (p.timely, check_timely, 250), (p.threaded, check_timely, 100),
        (p.plain, check_plain, 150),
    ],
    ids=["structured", "timely", "threaded", "plain"],
)  # fmt: skip
def test_many_generated_steps_repeat(
    driver: Driver, programs: Any, check: Callable[[Driver, Program, int, list[int]], None], number: int
) -> None:
    @generated(number)
    @given(program=programs, seed=seeds, crashes=p.crashes)
    def run(program: Program, seed: int, crashes: list[int]) -> None:
        check(driver, program, seed, crashes)

    run()

"""Recorded calls: the options of a call."""

from typing import Any

import pytest

from agent_tasks import Context, InvalidInput, Retry, StepFailed, SyncContext
from tests.database import query, submitted
from tests.database.driving import Driver, value_of
from tests.database.repeated import World, crashed_and_repeated, tried_again


def test_a_call_is_tried_again_within_the_step_and_each_try_is_recorded(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        return await ctx.using(retry=Retry(attempts=3, base=0)).call(world.does("ask", fails=2))

    assert crashed_and_repeated(driver, step) == ("ask 3", "ask 3")
    assert world.made == ["ask"] * 3
    calls = query(
        driver.client, "SELECT ordinal, status, replay, idempotency_key FROM agent_tasks.calls ORDER BY ordinal"
    )
    assert [(c["ordinal"], c["status"], c["replay"]) for c in calls] == [
        (0, "failed", "tried"), (1, "failed", "tried"), (2, "completed", None),
    ]  # fmt: skip
    assert len({c["idempotency_key"] for c in calls}) == 1


def test_a_call_whose_tries_are_used_up_fails_as_any_other(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        try:
            return ctx.using(retry=Retry(attempts=2, base=0)).call(world.does("ask", fails=9))
        except ConnectionError:
            return ctx.call(world.does("fallback"))

    assert crashed_and_repeated(driver, step) == ("fallback 1", "fallback 1")
    assert world.made == ["ask", "ask", "fallback"]


def test_a_call_that_is_tried_again_keeps_what_the_calls_within_it_have_done(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async def outer() -> str:
            found = await ctx.using(key="found").call(world.does("find"))
            return found + ", " + await ctx.call(world.does("pay", fails=1))

        return await ctx.using(retry=Retry(attempts=2, base=0)).call(outer)

    assert crashed_and_repeated(driver, step) == ("find 1, pay 2",) * 2
    assert world.made == ["find", "pay", "pay"]


@pytest.mark.parametrize("refuses", ["by raising", "by False"])
def test_an_answer_that_fails_its_check_is_a_failed_call(driver: Driver, refuses: str) -> None:
    world = World()

    def check(answer: str) -> bool:
        if refuses == "by raising" and answer == "ask 1":
            raise ValueError("no such answer")
        return answer != "ask 1"

    async def step(ctx: Context) -> str:
        return await ctx.using(check=check).call(world.does("ask"))

    assert tried_again(driver, step) == "ask 2"


@pytest.mark.parametrize("is_async", [True, False])
def test_an_answer_that_cannot_be_recorded_is_a_failed_call_that_the_step_can_go_on_from(
    driver: Driver, is_async: bool
) -> None:
    def odd() -> object:
        return object()

    async def step(ctx: Context) -> str:
        try:
            return str(await ctx.call(odd))
        except StepFailed as error:
            return f"{error.message.partition(':')[0]}"

    def plain_step(ctx: SyncContext) -> str:
        try:
            return str(ctx.call(odd))
        except StepFailed as error:
            return f"{error.message.partition(':')[0]}"

    first, second = crashed_and_repeated(driver, step if is_async else plain_step)
    assert first == second
    assert "cannot be stored" in first


def test_no_keyword_of_the_function_is_taken(driver: Driver) -> None:
    def takes(*, key: str, name: str, retry: int, check: int, function: str, self: str, at_most_once: str) -> str:
        return key + name + function + self + at_most_once + str(retry + check)

    def step(ctx: SyncContext) -> str:
        words = {"key": "a", "name": "b", "function": "c", "self": "d", "at_most_once": "e"}
        return ctx.using(name="taken").call(takes, retry=1, check=2, **words)

    assert crashed_and_repeated(driver, step) == ("abcde3", "abcde3")
    assert query(driver.client, "SELECT name FROM agent_tasks.calls")[0]["name"] == "taken"


@pytest.mark.parametrize(
    "options",
    [
        {"key": ""}, {"key": "x" * 257}, {"key": 7}, {"key": "a\x00"}, {"name": "a\nb"}, {"retry": 3}, {"check": 1},
        {"at_most_once": 1}, {"at_most_once": True, "retry": Retry(attempts=2)},
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(driver: Driver, options: dict[str, Any]) -> None:
    def step(ctx: SyncContext) -> str:
        return ctx.using(**options).call(str)

    with pytest.raises(InvalidInput):
        value_of(driver.run(submitted(driver.client), step))

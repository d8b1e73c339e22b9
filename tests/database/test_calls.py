"""Calls of a repeated step: each is given back what it got, and nothing recorded is made again."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks import (
    AmbiguousCall,
    Budget,
    BudgetExhausted,
    Context,
    ContextLost,
    InvalidInput,
    Retry,
    StepFailed,
    SyncContext,
    UpstreamUnavailable,
)
from agent_tasks.engine.steps.run import Raised
from tests.database import claimed, commit, query, row_of, submitted
from tests.database.driving import Driver, in_threads, result_of, value_of


class World:
    """What is outside: it counts what is done there, and under which keys."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.keys: dict[str, set[str]] = {}

    def does(self, name: str, seconds: float = 0.0, *, fails: int = 0) -> Callable[..., Any]:
        """A function that is known by this name; its first `fails` times it fails."""

        async def function(*args: Any) -> str:
            self.made.append(name)
            number = self.made.count(name)
            await asyncio.sleep(seconds)
            if number <= fails:
                raise ConnectionError(f"{name} is down")
            return f"{name} {number}"

        function.__qualname__ = name
        return function

    def key(self, ctx: Any, name: str) -> str:
        self.keys.setdefault(name, set()).add(ctx.idempotency_key)
        self.made.append(name)
        return name


def crashed_and_repeated(driver: Driver, step: Callable[..., Any], **options: Any) -> tuple[Any, Any]:
    """What a step returned when its worker was lost before the commit, and what its repeat returned."""
    task_id = submitted(driver.client, **options)
    first = driver.run(task_id, step)
    value = value_of(first)
    driver.crash(first)
    second = driver.run(task_id, step)
    return value, value_of(second)


def tried_again(driver: Driver, step: Callable[..., Any], **options: Any) -> Any:
    """What a step returned in its second try, after the first has raised."""
    task_id = submitted(driver.client, **options)
    first = driver.run(task_id, step)
    assert isinstance(result_of(first), Raised), result_of(first)
    assert driver.settle(first)["status"] == "waiting", result_of(first)
    return value_of(driver.run(task_id, step))


# --- identity -----------------------------------------------------------------------------------------------


def test_gathered_branches_with_several_calls_each_get_their_own_outcomes_back(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        async def branch(seconds: float) -> str:
            first = await ctx.call(world.does("fetch", seconds))
            return first + ", " + await ctx.call(world.does("fetch", seconds))

        return list(await asyncio.gather(branch(0.06), branch(0.01)))

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 4


def test_a_call_within_a_call_shifts_nobody(driver: Driver) -> None:
    def lookup(n: int) -> int:
        return n * 10

    def step(ctx: SyncContext) -> list[int]:
        def outer() -> int:
            return ctx.call(lookup, 1)

        return [ctx.call(outer), ctx.call(lookup, 2)]

    assert crashed_and_repeated(driver, step) == ([10, 20], [10, 20])


def test_tasks_of_a_group_that_are_created_in_order_may_call_in_any(driver: Driver) -> None:
    world, turns = World(), iter([[0.05, 0.0, 0.02], [0.0, 0.05, 0.02]])

    async def step(ctx: Context) -> list[str]:
        delays = next(turns)

        async def branch(n: int) -> str:
            await asyncio.sleep(delays[n])
            return await ctx.call(world.does("same"))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(branch(n)) for n in range(3)]
        return [task.result() for task in tasks]

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 3


def test_what_follows_the_order_of_time_gets_outcomes_back_in_that_order(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        async def fetch(n: int) -> int:
            await ctx.call(world.does(f"fetch {n}", 0.03 * (3 - n)))
            return n

        seen = []
        for one in asyncio.as_completed([fetch(n) for n in range(3)]):
            n = await one
            seen.append(f"{n}: {await ctx.call(world.does('next'))}")
        return seen

    first, second = crashed_and_repeated(driver, step)
    assert first == second == ["2: next 1", "1: next 2", "0: next 3"]


def test_functions_handed_to_threads_are_branches(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        loop = asyncio.get_running_loop()

        def blocking(n: int) -> str:
            calls = (asyncio.run_coroutine_threadsafe(ctx.call(world.does("same", 0.01), i), loop) for i in range(2))
            return f"{n}: " + ", ".join(call.result() for call in calls)

        return await asyncio.gather(*(asyncio.to_thread(blocking, n) for n in range(2)))

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 4


@pytest.mark.parametrize("is_async", [True, False])
def test_equal_calls_that_nothing_orders_need_a_key_and_say_so_at_the_first_try(driver: Driver, is_async: bool) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        loop = asyncio.get_running_loop()
        begin = [lambda: asyncio.run_coroutine_threadsafe(ctx.call(world.does("same")), loop).result()] * 2
        return await loop.run_in_executor(None, lambda: in_threads(*begin))

    def plain_step(ctx: SyncContext) -> list[str]:
        return in_threads(*[lambda: ctx.call(world.does("same"))] * 2)

    run = driver.run(submitted(driver.client), step if is_async else plain_step)
    with pytest.raises(AmbiguousCall, match=r"same .* Give each a key: ctx\.using\(key="):
        value_of(run)


def test_a_step_that_catches_the_word_that_a_call_is_ambiguous_is_not_committed(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        try:
            in_threads(*[lambda: ctx.call(world.does("same"))] * 2)
        except InvalidInput:
            return "went on all the same"
        return "well"

    with pytest.raises(AmbiguousCall):
        value_of(driver.run(submitted(driver.client), step))


def test_keys_tell_apart_what_nothing_orders(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> list[str]:
        return in_threads(
            lambda: ctx.using(key="a").call(world.does("same")), lambda: ctx.using(key="b").call(world.does("same"))
        )

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert len(world.made) == 2


def test_a_key_is_known_wherever_it_is_used_and_its_arguments_are_compared(driver: Driver) -> None:
    world, orders = World(), iter([["a", "b"], ["b", "a"], ["a", "a"], ["b", "a"]])
    arguments = iter([1, 1, 1, 1, 1, 1, 2, 1])

    async def step(ctx: Context) -> dict[str, str]:
        keys = next(orders)
        calls = [ctx.using(key=key).call(world.does("same"), next(arguments)) for key in keys]
        return dict(zip(keys, await asyncio.gather(*calls), strict=True))

    task_id = submitted(driver.client)
    driver.crash(first := driver.run(task_id, step))
    driver.crash(second := driver.run(task_id, step))
    assert value_of(first) == value_of(second)
    driver.crash(third := driver.run(task_id, step))
    with pytest.raises(AmbiguousCall, match=r"'a' .* another call"):
        value_of(third)
    with pytest.raises(ContextLost, match=r"key 'b' .* other arguments"):
        value_of(driver.run(task_id, step))


def test_a_call_that_was_not_made_before_is_refused_where_a_recorded_one_is_due(driver: Driver) -> None:
    world, way = World(), iter(["one", "two"])

    async def step(ctx: Context) -> str:
        return await ctx.call(world.does(next(way)))

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost, match=r"calls two, .* where one is recorded"):
        value_of(driver.run(task_id, step))
    assert world.made == ["one"]


@pytest.mark.parametrize("how", ["task", "thread"])
def test_a_call_is_refused_where_a_task_is_left_out_whose_calls_are_recorded(driver: Driver, how: str) -> None:
    """It would be made, and paid for, again under another key."""
    world, first = World(), iter([True, False])
    pay = world.does("pay", 0.1)

    async def step(ctx: Context) -> Any:
        if next(first):
            branch = asyncio.create_task(ctx.call(pay)) if how == "task" else in_thread(ctx)
            await asyncio.gather(branch, ctx.call(world.does("flaky", fails=1)))
        return await ctx.call(pay)

    async def in_thread(ctx: Context) -> Any:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(ctx.call(pay), loop).result(10))

    with pytest.raises(ContextLost, match=r"calls pay, .* where pay is recorded"):
        tried_again(driver, step)
    assert world.made.count("pay") == 1


def test_other_arguments_are_another_call(driver: Driver) -> None:
    world, arguments = World(), iter(["a", "b"])

    async def step(ctx: Context) -> str:
        return await ctx.call(world.does("ask"), next(arguments))

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost, match="ask"):
        value_of(driver.run(task_id, step))
    assert world.made == ["ask"]


def test_recorded_calls_in_another_order_each_get_their_own_outcome(driver: Driver) -> None:
    world, orders = World(), iter([["one", "two"], ["two", "one"]])

    async def step(ctx: Context) -> dict[str, str]:
        return {name: await ctx.call(world.does(name)) for name in next(orders)}

    first, second = crashed_and_repeated(driver, step)
    assert first == second
    assert world.made == ["one", "two"]


@pytest.mark.parametrize("leaves_out", ["a call", "a branch"])
def test_a_step_that_ends_without_a_call_it_made_before_is_not_committed(driver: Driver, leaves_out: str) -> None:
    world, whole = World(), iter([True, False])

    async def step(ctx: Context) -> str:
        await ctx.call(world.does("one"))
        if next(whole):
            two = ctx.call(world.does("two"))
            await (two if leaves_out == "a call" else asyncio.create_task(two))
        return "done"

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost, match="ended without two"):
        value_of(driver.run(task_id, step))


def test_a_step_that_catches_the_loss_of_its_context_is_not_committed(driver: Driver) -> None:
    world, way = World(), iter(["one", "two"])

    async def step(ctx: Context) -> str:
        try:
            return await ctx.call(world.does(next(way)))
        except Exception:
            return "a fallback"

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    with pytest.raises(ContextLost):
        value_of(driver.run(task_id, step))


def test_calls_have_keys_of_their_own_that_a_repeat_keeps(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        def outer() -> str:
            ctx.call(world.key, ctx, "inner")
            return world.key(ctx, "outer")

        ctx.call(outer)
        ctx.call(world.key, ctx, "next")
        raise OSError("stands for a failure outside of calls") if len(world.made) < 4 else StepFailed("over")

    task_id = submitted(driver.client)
    driver.settle(driver.run(task_id, step))
    driver.settle(driver.run(task_id, step))
    assert {len(keys) for keys in world.keys.values()} == {1}
    assert len(set.union(*world.keys.values())) == 3


def test_two_undo_functions_of_one_task_and_the_step_that_failed_have_different_keys(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> None:
        ctx.call(world.key, ctx, ctx.step)
        if ctx.step == "pay":
            raise StepFailed("no money")

    task_id = submitted(driver.client)
    query(driver.client, "UPDATE agent_tasks.tasks SET step = 'hotel' WHERE id = %s", task_id)
    for following in ("flight", "pay"):
        taken = claimed(driver.client, task_id)
        with driver.client.database.connection() as connection:
            commit(connection, taken, following, undoable=True)
    while (row := driver.settle(driver.run(task_id, step)))["finished_at"] is None:
        assert row["ending"]["status"] == "failed"
    assert list(world.keys) == ["pay", "undo:flight", "undo:hotel"]
    assert len(set.union(*world.keys.values())) == 3


# --- failures -----------------------------------------------------------------------------------------------


def test_a_failure_that_the_step_went_on_from_is_seen_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        try:
            draft = await ctx.call(world.does("big", fails=1))
        except ConnectionError as error:
            draft = f"{error}, so {await ctx.call(world.does('small'))}"
        return [draft, await ctx.call(world.does("small"))]

    assert crashed_and_repeated(driver, step) == (["big is down, so small 1", "small 2"],) * 2
    assert world.made == ["big", "small", "small"]


def test_the_call_whose_failure_ended_a_try_is_made_again_and_one_that_was_caught_is_not(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        try:
            await ctx.call(world.does("primary", fails=9))
        except ConnectionError:
            await ctx.call(world.does("fallback"))
        return await ctx.call(world.does("last", fails=1))

    assert tried_again(driver, step) == "last 2"
    assert world.made == ["primary", "fallback", "last", "last"]


def test_a_failure_that_is_told_of_by_a_call_and_raised_again_is_tried_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        try:
            return await ctx.call(world.does("ask", fails=1))
        except ConnectionError as error:
            await ctx.call(world.does("report"))
            raise UpstreamUnavailable("not now") from error

    assert tried_again(driver, step) == "ask 2"
    assert world.made == ["ask", "report", "ask"]


def test_after_a_crash_a_failure_that_had_not_ended_the_try_yet_is_seen_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        return await ctx.call(world.does("ask", fails=1))

    task_id = submitted(driver.client)
    driver.crash(driver.run(task_id, step))
    second = driver.run(task_id, step)
    with pytest.raises(ConnectionError, match="ask is down") as caught:
        value_of(second)
    assert caught.value.__notes__
    assert world.made == ["ask"]
    driver.settle(second)
    assert value_of(driver.run(task_id, step)) == "ask 2"


def test_a_resumed_task_makes_the_call_again_that_ended_the_old_one(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        await ctx.call(world.does("first"))
        try:
            return await ctx.call(world.does("ask", fails=1))
        except ConnectionError as error:
            raise StepFailed("no more tries") from error

    task_id = submitted(driver.client)
    assert driver.settle(driver.run(task_id, step))["status"] == "failed"
    again = driver.client.get(task_id).resume()
    assert value_of(driver.run(again.id, step)) == "ask 2"
    assert world.made == ["first", "ask", "ask"]


def test_a_time_out_that_the_step_went_on_from_is_seen_again(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        try:
            async with asyncio.timeout(0.1):
                found = await ctx.call(world.does("slow", 30 if "slow" not in world.made else 0))
        except TimeoutError:
            found = await ctx.call(world.does("quick"))
        return [found, await ctx.call(world.does("last"))]

    assert crashed_and_repeated(driver, step) == (["quick 1", "last 1"],) * 2
    assert world.made == ["slow", "quick", "last"]


@pytest.mark.parametrize("how", ["fails", "times out"])
def test_a_failure_is_seen_again_with_a_warning_though_an_argument_of_its_call_varies(
    driver: Driver, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    world = World()
    tries = itertools.count(1)

    async def step(ctx: Context) -> list[str]:
        number = next(tries)
        slow = 30 if how == "times out" and number == 1 else 0
        try:
            async with asyncio.timeout(0.1 if how == "times out" else 60):
                draft = await ctx.call(world.does("model", slow, fails=how == "fails"), "big", number)
        except (ConnectionError, TimeoutError):
            draft = await ctx.call(world.does("small"), "draft")
        return [draft, await ctx.call(world.does("small"), "polish")]

    assert crashed_and_repeated(driver, step) == (["small 1", "small 2"],) * 2
    assert world.made == ["model", "small", "small"]
    assert "call repeated with other arguments" in caplog.text


def test_a_branch_that_its_group_cancelled_is_made_again_with_the_failure(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async with asyncio.TaskGroup() as group:
            a = group.create_task(ctx.call(world.does("a", 0.05, fails=1)))
            b = group.create_task(ctx.call(world.does("b", 30 if "b" not in world.made else 0)))
        return f"{a.result()}, {b.result()}"

    assert tried_again(driver, step) == "a 2, b 2"


def test_a_gathered_call_that_goes_on_when_another_one_failed_is_recorded_before_the_step_is_tried_again(
    driver: Driver,
) -> None:
    world = World()

    async def step(ctx: Context) -> list[str]:
        return list(
            await asyncio.gather(
                ctx.call(world.does("flaky", fails=1)), ctx.call(world.does("pay", 0.3), at_most_once=True)
            )
        )

    assert tried_again(driver, step) == ["flaky 2", "pay 1"]
    assert world.made.count("pay") == 1


def test_a_call_of_a_thread_is_recorded_before_its_plain_step_is_tried_again(driver: Driver) -> None:
    world = World()

    def step(ctx: SyncContext) -> str:
        import threading

        begun, found = threading.Event(), []

        def slow() -> str:
            begun.set()
            return ctx.call(world.does("slow", 0.2))

        thread = threading.Thread(target=lambda: found.append(slow()))
        thread.start()
        begun.wait(10)
        ctx.call(world.does("ask", fails=1))
        thread.join()
        return found[0]

    assert tried_again(driver, step) == "slow 1"
    assert world.made.count("slow") == 1


def test_a_step_that_has_ended_begins_no_more_calls(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async def for_ever() -> None:
            while True:
                await ctx.call(world.does("poll", 0.01))

        ticking = asyncio.create_task(for_ever())
        await ctx.call(world.does("work", 0.05))
        assert not ticking.done()
        return "done"

    run = driver.run(submitted(driver.client), step)
    assert value_of(run) == "done"
    statuses = query(driver.client, "SELECT status FROM agent_tasks.calls WHERE task_id = %s", run.claim.id)
    assert {row["status"] for row in statuses} == {"completed"}
    assert driver.settle(run)["status"] == "completed"


# --- options ------------------------------------------------------------------------------------------------


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


# --- charges ------------------------------------------------------------------------------------------------


def test_a_charge_counts_once_however_often_its_step_is_repeated(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async def branch(tokens: int) -> None:
            await ctx.call(world.does("model"), tokens)
            await ctx.charge(tokens=tokens)

        await asyncio.gather(branch(10), branch(10), branch(30))
        if world.made.count("tool") < 2:
            await ctx.call(world.does("tool", fails=2))
        return await ctx.call(world.does("tool", fails=2))

    task_id = submitted(driver.client)
    driver.settle(driver.run(task_id, step))
    driver.crash(driver.run(task_id, step))
    driver.settle(driver.run(task_id, step))
    row = row_of(driver.client, task_id)
    assert row["spent_tokens"] == 50
    assert [c["n"] for c in query(driver.client, "SELECT count(*) AS n FROM agent_tasks.charges")] == [3]


def test_a_charge_within_a_call_counts_each_time_the_call_is_made(driver: Driver) -> None:
    world = World()

    async def step(ctx: Context) -> str:
        async def model() -> str:
            await ctx.charge(tokens=7)
            return await world.does("model", fails=1)()

        return await ctx.call(model)

    task_id = submitted(driver.client)
    driver.settle(driver.run(task_id, step))
    driver.crash(driver.run(task_id, step))
    assert value_of(driver.run(task_id, step)) == "model 2"
    assert row_of(driver.client, task_id)["spent_tokens"] == 14


def test_a_step_sees_its_charges_as_it_saw_them_first(driver: Driver) -> None:
    async def step(ctx: Context) -> int:
        charged = 0
        try:
            while True:
                await ctx.charge(tokens=40)
                charged += 1
        except BudgetExhausted:
            return charged

    assert crashed_and_repeated(driver, step, budget=Budget(tokens=100)) == (2, 2)

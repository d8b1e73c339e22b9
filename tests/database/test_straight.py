"""Straight-line steps: a step waits within itself, is parked as a row, and goes on with what it has recorded."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_tasks import (
    Context,
    HookClosed,
    InvalidInput,
    InvalidState,
    Signal,
    SyncContext,
    TaskCancelled,
    Wait,
)
from agent_tasks.authoring.calls.parked import StepParked
from agent_tasks.engine.steps.run import Returned
from agent_tasks.transitions import signal
from tests.database import query, row_of, submitted
from tests.database.courses import Course, made, make
from tests.database.driving import Driver, result_of


async def _approve(ctx: Context) -> Any:
    await ctx.call(make, "draft")
    signal = await ctx.wait("approval", timeout=60)
    await ctx.call(make, "publish")
    return signal.payload if signal else None


def _approve_plainly(ctx: SyncContext) -> Any:
    ctx.call(make, "draft")
    signal = ctx.wait("approval", timeout=timedelta(minutes=1))
    ctx.call(make, "publish")
    return signal.payload if signal else None


both = pytest.mark.parametrize("step", [_approve, _approve_plainly])


@both
def test_a_step_waits_as_a_row_and_goes_on_with_its_calls(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    row = c.parks()
    assert (row["status"], row["worker"], row["step"], row["step_number"]) == ("waiting", None, "echo", 0)
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    assert (waiting.kind, waiting.names, waiting.mode) == ("signal", ["approval"], "any")
    assert waiting.until is not None
    assert waiting.until - waiting.since == timedelta(seconds=60)
    assert c.task.signal("approval", {"ok": True}).delivered
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    assert c.ends() == {"ok": True}
    assert made == ["draft", "publish"]


@both
def test_a_wait_is_neither_a_try_nor_a_crash(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    c.task.signal("approval", 1)
    run = c.run()
    assert (run.claim.attempt, run.claim.failures, run.context.attempt) == (1, 0, 1)
    assert c.task.snapshot().budget.spent.calls == 2


@both
def test_a_signal_that_came_early_is_taken_at_once(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    assert not c.task.signal("approval", 1).delivered
    assert c.ends() == 1


@both
def test_a_wait_times_out(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    c.time_passes()
    assert c.ends() is None
    assert made == ["draft", "publish"]


@both
def test_a_signal_of_another_name_leaves_the_step_parked(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    assert c.task.signal("other", 1).waiting_for == ["approval"]
    assert row_of(c.driver.client, c.task_id)["status"] == "waiting"


def test_a_sleep_ends_by_the_clock_of_the_database(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> str:
        await ctx.sleep(0)
        await ctx.sleep(datetime(2001, 1, 1, tzinfo=UTC))
        await ctx.sleep(timedelta(hours=1))
        return await ctx.call(make, "slept")

    c = course(step)
    row = c.parks()
    assert row["waiting_for"]["kind"] == "timer"
    c.time_passes()
    assert c.ends() == "slept"


def test_the_time_of_a_wait_counts_from_when_the_step_first_came_to_it(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> list[Any]:
        return [*await asyncio.gather(ctx.wait("a", timeout=3600), ctx.sleep(7200))]

    c = course(step)
    first = c.parks()["waiting_for"]["waits"]
    c.task.signal("a", 1)
    second = c.parks()["waiting_for"]["waits"]
    assert second == [first[1]]


def test_all_of_several_signals(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        signals = await ctx.wait(["a", "b"], all=True)
        return None if signals is None else {name: signal.payload for name, signal in signals.items()}

    c = course(step)
    c.parks()
    assert not c.task.signal("b", 2).delivered
    assert c.task.signal("a", 1).delivered
    assert c.ends() == {"a": 1, "b": 2}


def test_any_of_several_signals_and_what_a_signal_holds(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        signal = await ctx.wait(["a", "b"])
        assert isinstance(signal, Signal)
        return [signal.name, signal.signal_id, signal.sent_at.tzinfo is not None]

    c = course(step)
    c.parks()
    c.task.signal("b", 2, signal_id="7")
    assert c.ends() == ["b", "7", True]


def test_each_wait_takes_a_signal_of_its_own(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        signals = [await ctx.wait("go"), *await asyncio.gather(ctx.wait("go"), ctx.wait("go"))]
        return [signal.payload for signal in signals if signal]

    c = course(step)
    for n in range(3):
        c.parks()
        c.task.signal("go", n)
    assert c.ends() == [0, 1, 2]


def test_what_can_run_runs_while_another_task_waits(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        async def slowly() -> str:
            while not made:
                await asyncio.sleep(0.001)
            return await ctx.call(make, "second")

        return await asyncio.gather(ctx.wait("a"), ctx.call(make, "first"), slowly())

    c = course(step)
    c.parks()
    assert made == ["first", "second"]
    c.task.signal("a", 1)
    assert c.ends()[1:] == ["first", "second"]
    assert made == ["first", "second"]


async def _nested(ctx: Context) -> Any:
    inner = asyncio.gather(ctx.wait("a"), ctx.wait("b"))
    return await asyncio.gather(inner, ctx.wait("c"), return_exceptions=True)


async def _grouped(ctx: Context) -> Any:
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(ctx.wait(name))


async def _grouped_beside(ctx: Context) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.wait("a"))
        group.create_task(ctx.wait("b"))
        await ctx.wait("c")


async def _awaited(ctx: Context) -> Any:
    tasks = [asyncio.create_task(ctx.wait(name)) for name in "abc"]
    await asyncio.wait(tasks)
    await asyncio.wait(tasks)


async def _directly(ctx: Context) -> Any:
    for task in [asyncio.create_task(ctx.wait(name)) for name in "abc"]:
        await task


@pytest.mark.parametrize("step", [_nested, _grouped, _grouped_beside, _awaited, _directly])
def test_a_step_parks_however_its_tasks_are_awaited(
    course: Callable[..., Course], step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    c = course(step)
    assert sorted(c.parks()["waiting_for"]["names"]) == ["a", "b", "c"]
    for name in "cab":
        c.task.signal(name, name)
        if name != "b":
            c.parks()
    c.ends()
    assert not caplog.records


async def _timed(ctx: Context) -> str:
    try:
        async with asyncio.timeout(0.2):
            await ctx.wait("never")
    except TimeoutError:
        return await ctx.call(make, "late")
    return "came"


async def _polled(ctx: Context) -> str:
    waiting = asyncio.create_task(ctx.wait("never"))
    await asyncio.sleep(0.2)
    waiting.cancel()
    return await ctx.call(make, "late")


async def _waited_for(ctx: Context) -> str:
    with suppress(TimeoutError):
        await asyncio.wait_for(ctx.wait("never"), 0.2)
    return await ctx.call(make, "late")


async def _locked(ctx: Context) -> str:
    lock = asyncio.Lock()

    async def hold() -> None:
        async with lock:
            await asyncio.sleep(0.2)

    holding = asyncio.create_task(hold())
    waiting = asyncio.create_task(ctx.wait("never"))
    await asyncio.sleep(0)
    async with lock:
        waiting.cancel()
    await holding
    return await ctx.call(make, "late")


@pytest.mark.parametrize("step", [_timed, _polled, _waited_for, _locked])
def test_a_step_that_does_something_else_is_not_parked(course: Callable[..., Course], step: Any) -> None:
    assert course(step).ends() == "late"


def test_a_wait_that_lost_a_race_gives_nothing_away(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        asked = asyncio.create_task(ctx.wait("answer"))
        slept = asyncio.create_task(ctx.sleep(60))
        done, left = await asyncio.wait({asked, slept}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        first = "asked" if asked in done else "slept"
        return [first, (await ctx.wait("answer")).payload]  # type: ignore[union-attr]

    c = course(step)
    c.parks()
    c.time_passes()
    c.parks()
    c.task.signal("answer", 42)
    assert c.ends() == ["slept", 42]


def test_a_signal_reaches_a_busy_step_while_it_runs(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        waiting = asyncio.create_task(ctx.wait("stop"))
        await asyncio.sleep(0.02)
        await asyncio.to_thread(c.task.signal, "stop", "now")
        while not waiting.done():
            await asyncio.sleep(0.01)
        return waiting.result().payload  # type: ignore[union-attr]

    c = course(step)
    assert c.ends() == "now"


# --- what varies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True])
def test_the_time_random_numbers_and_ids_are_the_same_when_the_step_goes_on(
    course: Callable[..., Course], plain: bool
) -> None:
    seen: list[list[Any]] = []

    async def step(ctx: Context) -> None:
        seen.append([await ctx.now(), await ctx.now(), await ctx.random(), await ctx.uuid(), await ctx.uuid()])
        await ctx.wait("go")

    def step_plainly(ctx: SyncContext) -> None:
        seen.append([ctx.now(), ctx.now(), ctx.random(), ctx.uuid(), ctx.uuid()])
        ctx.wait("go")

    c = course(step_plainly if plain else step)
    c.parks()
    c.task.signal("go")
    c.ends()
    assert seen[0] == seen[1]
    first, second, number, one, other = seen[0]
    assert first.tzinfo is not None
    assert first < second
    assert 0 <= number < 1
    assert one != other
    assert c.task.snapshot().budget.spent.calls == 0


# --- a step that cannot wait, or does not let itself be parked ------------------------------------------------


async def _in_a_call(ctx: Context) -> Any:
    return await ctx.call(ctx.wait, "a")


async def _in_a_thread(ctx: Context) -> Any:
    return await asyncio.to_thread(asyncio.run, ctx.wait("a"))


def _in_a_plain_thread(ctx: SyncContext) -> Any:
    from tests.database.driving import in_threads

    return in_threads(lambda: ctx.wait("a"))


def _in_a_plain_call(ctx: SyncContext) -> Any:
    return ctx.call(ctx.wait, "a")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (_in_a_call, "inside of a recorded call"),
        (_in_a_plain_call, "inside of a recorded call"),
        (_in_a_thread, "in a thread or a callback"),
        (_in_a_plain_thread, "in a thread or a callback"),
    ],
)
def test_a_wait_where_nothing_can_be_parked_is_refused(course: Callable[..., Course], step: Any, said: str) -> None:
    error = course(step).fails()
    assert isinstance(error, InvalidInput)
    assert said in str(error)


async def _swallows(ctx: Context) -> str:
    try:
        await ctx.wait("a")
    except BaseException:
        make("swallowed")
    return "gone on"


async def _calls_on(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    finally:
        await ctx.call(make, "no")


async def _raises_from_it(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    except BaseException as error:
        raise RuntimeError("wrapped") from error


async def _raises_instead(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    except BaseException:
        raise RuntimeError("no cause") from None


async def _fails_to_clean_up(ctx: Context) -> Any:
    try:
        await ctx.wait("a")
    finally:
        int("no number")


def _swallows_plainly(ctx: SyncContext) -> str:
    try:
        ctx.wait("a")
    except:  # noqa: E722
        make("swallowed")
    return "gone on"


def _emits_plainly(ctx: SyncContext) -> None:
    try:
        ctx.wait("a")
    finally:
        ctx.emit("no")


@pytest.mark.parametrize(
    "step",
    [_swallows, _calls_on, _raises_from_it, _raises_instead, _fails_to_clean_up, _swallows_plainly, _emits_plainly],
)
def test_a_step_that_holds_up_its_parking_is_told_where(course: Callable[..., Course], step: Any) -> None:
    error = course(step).fails()
    line = step.__code__.co_firstlineno + 2
    assert isinstance(error, InvalidInput)
    assert "StepParked" in str(error)
    assert f"{__file__}:{line}" in str(error)
    assert set(made) <= {"swallowed"}


def test_cleaning_up_is_no_holding_up(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        try:
            return (await ctx.wait("a")).payload  # type: ignore[union-attr]
        except StepParked:
            make("noted")
            raise
        finally:
            await asyncio.sleep(0)
            make("closed")

    c = course(step)
    c.parks()
    assert made == ["noted", "closed"]
    c.task.signal("a", 1)
    assert c.ends() == 1


def test_a_wait_after_the_step_has_returned_is_refused(course: Callable[..., Course]) -> None:
    errors: list[BaseException] = []

    async def step(ctx: Context) -> str:
        async def late() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                try:
                    await ctx.wait("a")
                except Exception as error:
                    errors.append(error)

        task = asyncio.create_task(late())
        await asyncio.sleep(0)
        return f"{task.done()}"

    assert course(step).ends() == "False"
    assert isinstance(errors[0], InvalidInput)
    assert "has returned" in str(errors[0])


def test_a_stopped_step_cannot_wait(driver: Driver) -> None:
    errors: list[BaseException] = []

    async def step(ctx: Context) -> None:
        ctx.stop()
        try:
            await ctx.wait("a")
        except TaskCancelled as error:
            errors.append(error)

    driver.run(submitted(driver.client), step)
    assert "told to stop" in str(errors[0])


# --- hooks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True])
def test_each_wait_has_a_hook_of_its_own(course: Callable[..., Course], plain: bool) -> None:
    urls: list[str] = []

    async def step(ctx: Context) -> Any:
        found: list[Any] = []
        for _ in range(2):
            urls.append(await ctx.hook("approval"))
            signal = await ctx.wait("approval")
            found.append(signal.payload if signal else None)
        return found

    def step_plainly(ctx: SyncContext) -> Any:
        found: list[Any] = []
        for _ in range(2):
            urls.append(ctx.hook("approval"))
            signal = ctx.wait("approval")
            found.append(signal.payload if signal else None)
        return found

    c = course(step_plainly if plain else step)
    client = c.driver.client
    c.parks()
    assert client.hook(urls[0]).waiting
    assert client.answer_hook(urls[0], "first").delivered
    c.parks()
    assert urls[1] == urls[0] != urls[2]
    for closed in (lambda: client.hook(urls[0]), lambda: client.answer_hook(urls[0], "again")):
        with pytest.raises(HookClosed):
            closed()
    assert client.answer_hook(urls[2], "second").delivered
    assert c.ends() == ["first", "second"]


def test_waits_of_one_name_that_run_at_once_share_their_hook(course: Callable[..., Course]) -> None:
    urls: list[str] = []

    async def waits(ctx: Context) -> Any:
        urls.append(await ctx.hook("approval"))
        signal = await ctx.wait("approval")
        return signal.payload if signal else None

    async def step(ctx: Context) -> Any:
        return await asyncio.gather(waits(ctx), waits(ctx))

    c = course(step)
    client = c.driver.client
    c.parks()
    assert len(set(urls)) == 1
    c.task.signal("approval", "one")
    assert len(c.parks()["waiting_for"]["waits"]) == 1
    assert client.hook(urls[0]).waiting, "one of the two is open"
    assert client.answer_hook(urls[0], "other").delivered
    assert sorted(c.ends()) == ["one", "other"]


def test_a_hook_of_a_wait_that_timed_out_is_closed(course: Callable[..., Course]) -> None:
    urls: list[str] = []

    async def step(ctx: Context) -> Any:
        urls.append(await ctx.hook("approval"))
        await ctx.wait("approval", timeout=60)
        await ctx.wait("other")

    c = course(step)
    c.parks()
    c.time_passes()
    c.parks()
    with pytest.raises(HookClosed, match="has gone on"):
        c.driver.client.answer_hook(urls[0], 1)


def test_an_answer_names_the_wait_that_it_is_for(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        return [(await ctx.wait("go")).payload, (await ctx.wait("go")).payload]  # type: ignore[union-attr]

    c = course(step)
    first = c.parks()["waiting_for"]["wait_id"]
    c.task.signal("go", 1, wait_id=first)
    second = c.parks()["waiting_for"]["wait_id"]
    assert second != first
    with pytest.raises(InvalidState):
        c.task.signal("go", 2, wait_id=first)
    c.task.signal("go", 2, wait_id=second)
    assert c.ends() == [1, 2]


async def _rounds(ctx: Context) -> Any:
    found: list[Any] = []
    for _ in range(2):
        found += await asyncio.gather(ctx.wait("a"), ctx.wait("b"))
    return [signal.payload for signal in found if signal]


def test_an_answer_to_any_of_several_waits_is_taken_by_the_one_that_it_names(course: Callable[..., Course]) -> None:
    c = course(_rounds)
    for n in range(2):
        c.parks()
        waiting = c.task.snapshot().waiting_for
        assert waiting is not None
        assert waiting.wait_ids is not None
        assert waiting.waits is not None
        assert (waiting.wait_id is None) == (n == 1)  # from the second on each name has an id of its own
        assert [wait.wait_ids for wait in waiting.waits] == [{"a": waiting.wait_ids["a"]}, {"b": waiting.wait_ids["b"]}]
        assert c.task.signal("b", f"b{n}", wait_id=waiting.wait_ids["b"]).delivered
        c.parks()
        with pytest.raises(InvalidInput if n == 0 else InvalidState):
            c.task.signal("b", "late", wait_id=waiting.wait_ids["b"])
        assert c.task.signal("a", f"a{n}", wait_id=waiting.wait_ids["a"]).delivered
    assert c.ends() == ["a0", "b0", "a1", "b1"]


def test_an_answer_is_refused_that_names_the_wait_of_another_signal(course: Callable[..., Course]) -> None:
    c = course(_rounds)
    c.parks()
    for name in "ab":
        c.task.signal(name, name)
    waiting = c.parks()["waiting_for"]
    with pytest.raises(InvalidInput, match="This wait is for a, not 'b'"):
        c.task.signal("b", 1, wait_id=waiting["wait_ids"]["a"])


def test_an_answer_for_a_wait_that_is_over_is_for_no_later_one(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await ctx.wait("a", timeout=60)
        return (await ctx.wait(["a", "b"])).payload  # type: ignore[union-attr]

    c = course(step)
    first = c.parks()["waiting_for"]["wait_id"]
    c.time_passes()
    both = c.parks()["waiting_for"]
    assert both["wait_ids"]["b"] == first  # the first wait for b, as that for a was
    assert "wait_id" not in both
    with pytest.raises(InvalidInput):
        c.task.signal("a", "late", wait_id=first)
    with c.driver.client.database.connection() as connection:  # as if it had come in before it was over
        signal.keep(connection, c.task_id, "a", '"late"', signal_id=None, sender=None, wait_id=first)
        assert signal.deliver(connection, c.task_id, ring_seconds=60) is None
    c.task.signal("b", "right", wait_id=first)
    assert c.ends() == "right"


def test_a_directive_after_waits_takes_answers_by_the_id_of_each_name(
    course: Callable[..., Course],
) -> None:
    urls: list[str] = []

    async def step(ctx: Context) -> Any:
        await ctx.wait("a")
        urls.append(await ctx.hook("a"))
        return Wait(["b", "a"], then="echo", value=1)

    c = course(step)
    first = c.parks()["waiting_for"]["wait_id"]
    c.task.signal("a", 1, wait_id=first)
    c.run()
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    assert waiting.wait_ids is not None
    assert waiting.wait_ids["a"] != first == waiting.wait_ids["b"]
    with pytest.raises(InvalidInput):
        c.task.signal("a", "late", wait_id=first)
    assert c.driver.client.answer_hook(urls[0], "by the hook").delivered


def test_an_open_wait_takes_an_answer_while_the_step_does_something_else(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        signals = await asyncio.gather(ctx.wait("legal"), ctx.wait("finance"))
        return [signal.payload for signal in signals if signal]

    c = course(step)
    asked = c.parks()["waiting_for"]["wait_ids"]
    c.task.signal("legal", "yes", wait_id=asked["legal"])
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    receipt = c.task.signal("finance", "too", wait_id=asked["finance"])
    assert (receipt.kept, receipt.delivered) == (True, False)
    assert c.ends() == ["yes", "too"]


def test_a_hook_shows_the_times_of_its_own_wait(course: Callable[..., Course]) -> None:
    urls: list[str] = []

    async def step(ctx: Context) -> Any:
        urls.append(await ctx.hook("b"))
        await asyncio.gather(ctx.wait("a", timeout=60), ctx.wait("b", timeout=3600))

    c = course(step)
    waits = c.parks()["waiting_for"]["waits"]
    shown = c.driver.client.hook(urls[0])
    assert shown.waiting
    assert [shown.since, shown.until] == [datetime.fromisoformat(waits[1][at]) for at in ("since", "until")]


# --- lost workers, tasks that go on ---------------------------------------------------------------------------


@both
def test_a_worker_lost_after_a_wait_costs_nothing(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    c.task.signal("approval", 1)
    for _ in range(2):
        run = c.driver.run(c.task_id, c.function)
        assert isinstance(result_of(run), Returned)
        c.driver.crash(run)
    assert c.ends() == 1
    assert made == ["draft", "publish"]


@both
def test_a_task_that_ended_while_parked_waits_again_when_it_is_resumed(
    course: Callable[..., Course], step: Any
) -> None:
    c = course(step)
    c.parks()
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    assert c.parks()["waiting_for"]["names"] == ["approval"]
    c.task.signal("approval", 1)
    assert c.ends() == 1
    assert made == ["draft", "publish"]


@both
def test_a_resumed_task_has_the_waits_that_were_over(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.task.signal("approval", 1)
    run = c.driver.run(c.task_id, c.function)
    assert isinstance(result_of(run), Returned)
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    assert c.ends() == 1
    assert made == ["draft", "publish"]


def test_seconds_are_not_counted_while_a_step_is_parked(course: Callable[..., Course]) -> None:
    c = course(_approve)
    c.parks()
    spent = row_of(c.driver.client, c.task_id)["spent_seconds"]
    query(
        c.driver.client,
        'UPDATE agent_tasks.tasks SET waiting_for = waiting_for || \'{"since": "2001-01-01T00:00:00Z"}\', '
        "claimed_at = claimed_at - interval '1 hour' WHERE id = %s",
        c.task_id,
    )
    c.task.signal("approval", 1)
    assert row_of(c.driver.client, c.task_id)["spent_seconds"] == spent

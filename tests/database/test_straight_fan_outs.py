"""Fan-outs of straight-line steps: a step spawns children, is parked, and goes on with their outcomes."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import (
    Budget,
    BudgetExhausted,
    Child,
    ChildOutcome,
    Context,
    FanOut,
    InvalidInput,
    InvalidState,
    SyncContext,
    TaskCancelled,
)
from agent_tasks.engine.steps import commit
from agent_tasks.engine.steps.fan_outs import StepFanOuts
from agent_tasks.engine.steps.spawning import Spawning
from agent_tasks.errors import LeaseLost
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.wake import wake
from tests.database import Row, fall_due, query, row_of
from tests.database.children import NOTHING_RESERVED, broken, reserved_of, run_child, types_of
from tests.database.courses import Course, made, make
from tests.database.driving import in_threads


def children_of(c: Course, task_id: UUID | None = None) -> list[Row]:
    return query(
        c.driver.client,
        "SELECT * FROM agent_tasks.tasks WHERE parent_id = %s ORDER BY parent_call, child_index, id",
        task_id or c.task_id,
    )


def ids_of(c: Course) -> list[UUID]:
    return [row["id"] for row in children_of(c)]


def end_all(c: Course) -> None:
    for child in children_of(c):
        if child["finished_at"] is None:
            run_child(c.driver.client, child["id"])


def echoes(*values: int) -> list[Child]:
    return [Child("echo", {"value": value}) for value in values]


def shown(outcomes: list[ChildOutcome]) -> list[Any]:
    return [[outcome.index, outcome.agent, outcome.status, outcome.result] for outcome in outcomes]


async def _fans(ctx: Context) -> Any:
    return shown(await ctx.fan_out(echoes(1, 2)))


def _fans_plainly(ctx: SyncContext) -> Any:
    return shown(ctx.fan_out(echoes(1, 2)))


both = pytest.mark.parametrize("step", [_fans, _fans_plainly])


@both
def test_a_step_is_parked_until_its_children_have_ended(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    row = c.parks()
    assert (row["status"], row["worker"], row["step_number"], row["children_left"]) == ("waiting", None, 0, 2)
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    assert (waiting.kind, waiting.name) == ("children", "2 children")
    first, second = ids_of(c)
    run_child(c.driver.client, second)
    assert row_of(c.driver.client, c.task_id)["status"] == "waiting"
    run_child(c.driver.client, first)
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    assert c.ends() == [[0, "echo", "completed", "done"], [1, "echo", "completed", "done"]]
    assert len(ids_of(c)) == 2
    row = row_of(c.driver.client, c.task_id)
    assert (row["status"], row["children_left"], row["attempt"]) == ("completed", 0, 1)
    types = types_of(c.driver.client, c.task_id)
    assert [one for one in types if one in ("spawned", "waiting", "joined")] == ["spawned", "waiting", "joined"]


def test_what_children_spent_is_the_parents_when_it_goes_on(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await ctx.fan_out(echoes(1, 2))
        return ctx.spent.steps

    c = course(step)
    c.parks()
    end_all(c)
    assert c.ends() == 2
    assert row_of(c.driver.client, c.task_id)["spent_steps"] == 3


def test_no_children_are_no_wait(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        return await ctx.fan_out([])

    assert course(step).ends() == []


async def _until_spawned(c: Course, count: int = 1) -> list[UUID]:
    while len(await asyncio.to_thread(ids_of, c)) < count:
        await asyncio.sleep(0.01)
    return await asyncio.to_thread(ids_of, c)


def test_children_begin_at_once_and_may_end_while_the_step_does_something_else(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1)))
        for child in await _until_spawned(c):
            await asyncio.to_thread(run_child, c.driver.client, child)
        while not fan_out.done():
            await asyncio.sleep(0.01)
        return [fan_out.result()[0].result, ctx.spent.steps]

    c = course(step)
    assert c.ends() == ["done", 1]


def test_children_that_end_just_before_the_park_wake_the_step(
    course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    park = commit.park

    def late(*args: Any, **options: Any) -> Row:
        end_all(c)
        return park(*args, **options)

    c = course(_fans)
    monkeypatch.setattr(commit, "park", late)
    c.run()
    monkeypatch.undo()
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    assert c.ends()[0][2:] == ["completed", "done"]


def test_each_of_several_fan_outs_has_its_own_children(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        first, second = await asyncio.gather(ctx.fan_out(echoes(1, 2)), ctx.fan_out(echoes(3)))
        (third,) = await ctx.fan_out(echoes(4))
        return [shown(first), shown(second), third.index]

    c = course(step)
    c.parks()
    one, two, three = ids_of(c)
    run_child(c.driver.client, three)
    c.parks()  # with what is left to wait for
    run_child(c.driver.client, one, broken)
    run_child(c.driver.client, two)
    row = c.parks()
    assert (row["children_left"], row["waiting_for"]["name"]) == (1, "1 children")
    end_all(c)
    done = ["echo", "completed", "done"]
    assert c.ends() == [[[0, "echo", "failed", None], [1, *done]], [[0, *done]], 0]


def test_a_fan_out_beside_a_wait_a_sleep_and_a_call(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        outcomes, signal, _, called = await asyncio.gather(
            ctx.fan_out(echoes(1)), ctx.wait("go", timeout=7200), ctx.sleep(3600), ctx.call(make, "call")
        )
        return [outcomes[0].result, signal.payload if signal else None, called]

    c = course(step)
    row = c.parks()
    assert row["waiting_for"]["name"] == "1 child or go"
    assert c.task.signal("go", 7).delivered
    c.parks()
    c.time_passes()
    row = c.parks()
    assert [wait["kind"] for wait in row["waiting_for"]["waits"]] == ["children"]
    end_all(c)
    assert c.ends() == ["done", 7, "call"]
    assert len(ids_of(c)) == 1
    assert made == ["call"]


def test_seconds_count_while_children_are_at_work(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await asyncio.gather(ctx.fan_out(echoes(1)), ctx.wait("go"))

    c = course(step)
    for go_on in (lambda: c.task.signal("go"), lambda: end_all(c)):
        c.parks()
        query(
            c.driver.client,
            "UPDATE agent_tasks.tasks SET waiting_for = waiting_for || jsonb_build_object('parked_at', "
            "clock_timestamp() - interval '1 hour') WHERE id = %s",
            c.task_id,
        )
        before = row_of(c.driver.client, c.task_id)["spent_seconds"]
        go_on()
        assert 3600 <= row_of(c.driver.client, c.task_id)["spent_seconds"] - before < 3660
    c.ends()


def test_no_second_is_counted_again_when_the_step_is_parked_again(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await asyncio.gather(ctx.fan_out(echoes(1)), ctx.wait("go"))

    c = course(step)
    c.parks()
    client = c.driver.client
    long_ago = "jsonb_build_object('since', clock_timestamp() - interval '1 hour')"
    query(client, f"UPDATE agent_tasks.calls SET wait = wait || {long_ago} WHERE task_id = %s", c.task_id)
    c.task.signal("go")
    counted = c.parks()["spent_seconds"]
    end_all(c)
    assert row_of(client, c.task_id)["spent_seconds"] - counted < 3600
    c.ends()


# --- budgets --------------------------------------------------------------------------------------------------


def test_budgets_are_reserved_and_what_is_left_comes_back(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await ctx.fan_out(echoes(1, 2), reserve=Budget(tokens=100))
        return ctx.budget.tokens

    c = course(step, budget=Budget(tokens=1100, steps=20))
    c.parks()
    assert [row["budget_tokens"] for row in children_of(c)] == [500, 500]
    assert reserved_of(c.driver.client, c.task_id)["tokens"] == 1000
    end_all(c)
    assert reserved_of(c.driver.client, c.task_id) == NOTHING_RESERVED
    assert c.ends() == 1100


def test_gathered_fan_outs_share_what_is_there(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        await asyncio.gather(*(ctx.fan_out(echoes(n), reserve=Budget(tokens=400)) for n in range(2)))

    c = course(step, budget=Budget(tokens=1000))
    c.fails()  # the second finds nothing above the reserve
    assert reserved_of(c.driver.client, c.task_id)["tokens"] <= 600


_SPENT = {
    "tokens": ("spent_tokens = 60", Budget(tokens=100), 40),
    "reserved": ("held_tokens = 60", Budget(tokens=100), 40),
    "usd": ("spent_usd = 0.3", Budget(usd=0.7), 0.4),
    "steps": ("spent_steps = 5", Budget(steps=12), 5),
    "calls": ("spent_calls = 5", Budget(calls=12), 7),
}


@pytest.mark.parametrize("what", _SPENT)
def test_what_is_spent_while_children_are_made_is_not_theirs(
    course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    change, budget, left = _SPENT[what]
    c = course(_fans, budget=budget)
    divided = Spawning.spawn

    def spend(*args: Any) -> Any:
        monkeypatch.undo()
        spawned = divided(*args)
        query(c.driver.client, f"UPDATE agent_tasks.tasks SET {change} WHERE id = %s", c.task_id)
        return spawned

    monkeypatch.setattr(Spawning, "spawn", spend)
    c.parks()
    name = "tokens" if what == "reserved" else what
    given = [float(child[f"budget_{name}"]) for child in children_of(c)]
    assert len(given) == 2
    assert left - 1 <= sum(given) <= left + 1e-9


def test_a_fan_out_that_is_returned_leaves_what_cancelled_children_still_have(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        mine = asyncio.create_task(ctx.fan_out(echoes(1), reserve=Budget(tokens=400)))
        for child in await _until_spawned(c):
            await asyncio.to_thread(_may_undo, c, child)
        mine.cancel()
        with suppress(asyncio.CancelledError):
            await mine
        return FanOut(echoes(2), then="echo")

    c = course(step, budget=Budget(tokens=1000))
    c.run()
    undoing, other = children_of(c)
    if undoing["parent_call"] is None:
        undoing, other = other, undoing
    assert undoing["finished_at"] is None
    assert (undoing["budget_tokens"], other["budget_tokens"]) == (600, 400)
    assert reserved_of(c.driver.client, c.task_id)["tokens"] == 1000


def _may_undo(c: Course, child: UUID) -> None:
    """The child has committed a step that can be undone."""
    sql = (
        "INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, run, seconds, undo) "
        "VALUES (%s, 0, 'echo', 'echo', '{}', 1, 0, true)"
    )
    query(c.driver.client, sql, child)
    query(c.driver.client, "UPDATE agent_tasks.tasks SET step_number = 1, undoable = 1 WHERE id = %s", child)


def test_a_refusal_is_recorded_with_what_follows_from_it(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        try:
            await ctx.fan_out(echoes(1, 2))
        except BudgetExhausted as error:
            await ctx.call(make, "instead")
            await ctx.wait("go")
            return error.details["resource"]

    c = course(step, budget=Budget(steps=1))
    c.parks()
    assert not ids_of(c)
    query(c.driver.client, "UPDATE agent_tasks.tasks SET budget_steps = 100 WHERE id = %s", c.task_id)
    c.task.signal("go")
    assert c.ends() == "steps"
    assert made == ["instead"]


def test_children_are_called_in_when_only_the_reserve_is_left(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        found, _ = await asyncio.gather(ctx.fan_out(echoes(1, 2), reserve=50), ctx.fan_out(echoes(3), reserve=10))
        return [outcome.status for outcome in found]

    c = course(step, budget=Budget(seconds=100))
    waits = c.parks()["waiting_for"]["waits"]
    assert [wait["until"] > wait["since"] for wait in waits] == [True, True]
    first, *_ = ids_of(c)
    run_child(c.driver.client, first)
    over = 'UPDATE agent_tasks.calls SET wait = wait || \'{"until": "2001-01-01T00:00:00Z"}\''
    query(c.driver.client, f"{over} WHERE task_id = %s AND children_left = 1 AND ordinal = 0", c.task_id)
    fall_due(c.driver.client, c.task_id)
    with c.driver.client.database.transaction() as connection:
        assert not wake(connection, limit=10, ring_seconds=60)
        call_in(connection, limit=10, ring_seconds=60)
    assert [row["status"] for row in children_of(c)] == ["completed", "timeout", "pending"]
    assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    c.parks()
    end_all(c)
    assert c.ends() == ["completed", "timeout"]


# --- failures and ends ----------------------------------------------------------------------------------------


async def _all_or_nothing(ctx: Context) -> Any:
    await ctx.fan_out(echoes(1, 2), on_child_failure="fail")


def test_the_first_failure_ends_the_task_where_it_asks_for_that(course: Callable[..., Course]) -> None:
    c = course(_all_or_nothing)
    c.parks()
    first, _ = ids_of(c)
    run_child(c.driver.client, first, broken)
    row = row_of(c.driver.client, c.task_id)
    assert (row["status"], row["error"]["type"], row["error"]["details"]["child"]) == (
        "failed",
        "partial_completion",
        str(first),
    )
    assert [child["status"] for child in children_of(c)] == ["failed", "cancelled"]


def test_a_step_that_runs_is_stopped_by_the_failure_of_a_child(course: Callable[..., Course]) -> None:
    told: list[Row] = []

    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1), on_child_failure="fail"))
        for child in await _until_spawned(c):
            told.extend(await asyncio.to_thread(run_child, c.driver.client, child, broken))
        await fan_out

    c = course(step)
    with pytest.raises(LeaseLost):
        c.run()
    assert row_of(c.driver.client, c.task_id)["status"] == "failed"
    assert [row["was"] for row in told if row["id"] == c.task_id] == ["running"]  # who runs it is told to stop


def test_children_are_cancelled_with_their_parent(course: Callable[..., Course]) -> None:
    c = course(_fans)
    c.parks()
    c.task.cancel()
    assert [child["status"] for child in children_of(c)] == ["cancelled", "cancelled"]


async def _broken_beside(ctx: Context) -> Any:
    async def break_off() -> None:
        if ctx.attempt == 1:
            raise ValueError("broken beside")

    return await asyncio.gather(ctx.fan_out(echoes(1, 2)), break_off())


def test_children_outlast_a_try_that_failed(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1, 2)))
        await _until_spawned(c)
        if ctx.attempt == 1:
            raise ValueError("broken beside")
        return shown(await fan_out)

    c = course(step)
    assert isinstance(c.fails(), ValueError)
    assert row_of(c.driver.client, c.task_id)["waiting_for"]["kind"] == "retry"
    end_all(c)
    c.time_passes()
    assert c.ends()[1][2:] == ["completed", "done"]
    assert len(ids_of(c)) == 2


def test_a_task_that_fails_cancels_the_children_that_its_step_spawned(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1, 2)))
        await _until_spawned(c)
        raise InvalidInput(f"no use {fan_out.done()}")

    c = course(step)
    assert isinstance(c.fails(), InvalidInput)
    assert row_of(c.driver.client, c.task_id)["status"] == "failed"
    assert [child["status"] for child in children_of(c)] == ["cancelled", "cancelled"]


def test_a_fan_out_that_the_step_cancels_cancels_its_children(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1, 2)))
        slept = asyncio.create_task(ctx.sleep(60))
        await asyncio.wait({fan_out, slept}, return_when=asyncio.FIRST_COMPLETED)
        fan_out.cancel()
        with suppress(asyncio.CancelledError):
            await fan_out
        return shown(await ctx.fan_out(echoes(1, 2)))

    c = course(step)
    c.parks()
    c.time_passes()
    row = c.parks()
    assert [child["status"] for child in children_of(c)] == ["cancelled", "cancelled", "pending", "pending"]
    assert row["children_left"] == 2
    end_all(c)
    assert [outcome[2] for outcome in c.ends()] == ["completed", "completed"]


async def _waits(ctx: Context) -> Any:
    return await ctx.wait("go")


@pytest.mark.parametrize("wait", [_waits, _fans])
@pytest.mark.parametrize("goes_first", ["the look", "its end"])
def test_a_wait_that_is_cancelled_while_postgres_is_asked_stays_cancelled(
    course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch, wait: Any, goes_first: str
) -> None:
    take, keep, cancel = StepFanOuts.take_waits, StepFanOuts.keep_waits, StepFanOuts.cancel_wait
    is_asked, is_cancelled, is_over = threading.Event(), threading.Event(), threading.Event()

    def taken(*args: Any) -> Any:
        found = take(*args) if goes_first == "the look" else None
        is_asked.set()
        assert is_cancelled.wait(30)
        if found is None:
            found = take(*args)
            is_over.set()
        return found

    def kept(*args: Any) -> None:
        keep(*args)
        is_over.set()

    def cancelled(*args: Any) -> None:
        cancel(*args)
        is_cancelled.set()

    async def step(ctx: Context) -> Any:
        waiting = asyncio.create_task(wait(ctx))
        await asyncio.to_thread(is_asked.wait, 30)
        if goes_first == "its end":
            c.task.signal("go")
            await asyncio.to_thread(end_all, c)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(is_over.wait, 30)
        return None

    monkeypatch.setattr(StepFanOuts, "take_waits", taken)
    monkeypatch.setattr(StepFanOuts, "keep_waits", kept)
    monkeypatch.setattr(StepFanOuts, "cancel_wait", cancelled)
    c = course(step)
    c.ends()
    assert is_over.is_set()
    rows = query(c.driver.client, "SELECT status FROM agent_tasks.calls WHERE task_id = %s", c.task_id)
    assert [row["status"] for row in rows] == ["cancelled"]
    signals = query(c.driver.client, "SELECT consumed_step FROM agent_tasks.signals WHERE task_id = %s", c.task_id)
    assert not [row for row in signals if row["consumed_step"] is not None]


def test_children_that_nobody_awaits_are_cancelled_when_the_step_returns(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        fan_out = asyncio.create_task(ctx.fan_out(echoes(1)))
        await _until_spawned(c)
        return fan_out.done()

    c = course(step)
    assert c.ends() is False
    assert [child["status"] for child in children_of(c)] == ["cancelled"]


# --- tasks that go on -----------------------------------------------------------------------------------------


@both
def test_a_resumed_task_runs_only_those_children_again_that_had_not_completed(
    course: Callable[..., Course], step: Any
) -> None:
    c = course(step)
    c.parks()
    first, _ = ids_of(c)
    run_child(c.driver.client, first)
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    row = c.parks()
    (child,) = children_of(c)
    assert (child["child_index"], child["resumed_from"] is not None, row["children_left"]) == (1, True, 1)
    end_all(c)
    assert c.ends() == [[0, "echo", "completed", "done"], [1, "echo", "completed", "done"]]


@both
def test_a_fork_from_a_step_that_spawned_children_spawns_its_own(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    old = ids_of(c)
    end_all(c)
    c.ends()
    c.task = c.task.resume(from_step=0)
    c.task_id = c.task.id
    c.parks()
    own = children_of(c)
    assert len(own) == 2
    assert not {child["id"] for child in own} & set(old)
    assert {child["resumed_from"] for child in own} == {None}
    end_all(c)
    assert c.ends() == [[0, "echo", "completed", "done"], [1, "echo", "completed", "done"]]


def test_a_resumed_task_has_the_outcomes_that_were_there(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        outcomes = await ctx.fan_out(echoes(1))
        await ctx.wait("go")
        return shown(outcomes)

    c = course(step)
    c.parks()
    end_all(c)
    c.parks()
    for _ in range(2):
        c.task.cancel()
        c.task = c.task.resume()
        c.task_id = c.task.id
        c.parks()
    c.task.signal("go")
    assert c.ends() == [[0, "echo", "completed", "done"]]
    assert not ids_of(c)


def test_a_task_is_not_resumed_before_its_children_have_undone_what_they_did(course: Callable[..., Course]) -> None:
    c = course(_fans)
    c.parks()
    first, _ = ids_of(c)
    _may_undo(c, first)
    c.task.cancel()
    with pytest.raises(InvalidState, match="has not ended"):
        c.task.resume()


# --- places ---------------------------------------------------------------------------------------------------


async def _in_a_call(ctx: Context) -> Any:
    return await ctx.call(ctx.fan_out, echoes(1))


async def _in_a_thread(ctx: Context) -> Any:
    return await asyncio.to_thread(asyncio.run, ctx.fan_out(echoes(1)))


def _in_a_plain_call(ctx: SyncContext) -> Any:
    return ctx.call(ctx.fan_out, echoes(1))


def _in_a_plain_thread(ctx: SyncContext) -> Any:
    return in_threads(lambda: ctx.fan_out(echoes(1)))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (_in_a_call, "inside of a recorded call"),
        (_in_a_plain_call, "inside of a recorded call"),
        (_in_a_thread, "in a thread or a callback"),
        (_in_a_plain_thread, "in a thread or a callback"),
    ],
)
def test_a_fan_out_where_nothing_can_be_parked_is_refused(course: Callable[..., Course], step: Any, said: str) -> None:
    c = course(step)
    error = c.fails()
    assert isinstance(error, InvalidInput)
    assert said in str(error)
    assert not ids_of(c)


@pytest.mark.parametrize("kind", [InvalidInput, TaskCancelled])
def test_a_fan_out_in_the_finally_of_a_step_that_is_over_is_refused(
    course: Callable[..., Course], kind: type[Exception]
) -> None:
    errors: list[BaseException] = []

    async def step(ctx: Context) -> str:
        async def late() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                try:
                    await ctx.fan_out(echoes(1))
                except Exception as error:
                    errors.append(error)

        task = asyncio.create_task(late())
        await asyncio.sleep(0)
        if kind is TaskCancelled:
            ctx.stop()
            task.cancel()
            await asyncio.wait([task])
        return f"{task.done()}"

    c = course(step)
    c.driver.run(c.task_id, step)
    assert isinstance(errors[0], kind)
    assert not ids_of(c)


def test_what_is_no_list_of_children_is_refused(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        return await ctx.fan_out("echo")  # type: ignore[arg-type]

    with pytest.raises(InvalidInput, match="list of Child"):
        raise course(step).fails()

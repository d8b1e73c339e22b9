"""Several waits of a step at once: what they cost, what is taken for each, and what a fork is asked anew."""

import asyncio
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agent_tasks import AgentTasks, Context
from agent_tasks.authoring.calls import waits
from agent_tasks.engine.steps.executor import Executor
from agent_tasks.errors import LeaseLost
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import IDLE, SNAPSHOT
from agent_tasks.transitions import park, signal
from tests.database import claimed, open_wait, query, row_of, submitted
from tests.database.courses import Course, made, make
from tests.database.driving import Driver, result_of

MANY = 30


async def _asks_many(ctx: Context) -> Any:
    signals = await asyncio.gather(*[ctx.wait(f"s{n}") for n in range(MANY)])
    return [signal.payload for signal in signals if signal]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many waits each statement wrote that the ledger had not."""
    counts: list[int] = []
    values: Any = park._values

    def count(claim: Any, waits: Any) -> Any:
        counts.append(sum(not wait.is_kept for wait in waits))
        return values(claim, waits)

    monkeypatch.setattr(park, "_values", count)
    return counts


def test_waits_that_are_over_together_are_taken_in_one_statement(
    course: Callable[..., Course],
    written: list[int],
) -> None:
    c = course(_asks_many)
    c.parks()
    for n in range(MANY):
        c.task.signal(f"s{n}", n)
    written.clear()
    assert c.ends() == list(range(MANY))
    assert len(written) == 1


def test_a_wait_is_written_once_however_often_its_step_is_parked(
    course: Callable[..., Course],
    written: list[int],
) -> None:
    c = course(_asks_many)
    sizes = set[int]()
    for n in range(4):
        waiting = c.parks()["waiting_for"]
        assert len(waiting["waits"]) == len(waiting["names"]) == 20
        sizes.add(len(json.dumps(waiting)) // 1000)
        assert waiting["name"].endswith(f"and {MANY - n - 20} more")
        assert c.task.signal(f"s{MANY - 1 - n}", n).delivered
    assert len(sizes) == 1
    assert sum(written) == MANY


def test_waits_for_one_signal_take_one_each(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> Any:
        return [each.payload for each in await asyncio.gather(*[ctx.wait("go") for _ in range(3)]) if each]

    c = course(step)
    c.parks()
    for n in range(2):
        c.task.signal("go", n)
    assert len(c.parks()["waiting_for"]["waits"]) == 1
    c.task.signal("go", 2)
    assert c.ends() == [0, 1, 2]


async def _takes_the_first(ctx: Context) -> Any:
    tasks = [asyncio.create_task(ctx.wait(name)) for name in "ab"]
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    first = done.pop().result()
    return [first.name if first else None, (await ctx.wait("b")).payload]  # type: ignore[union-attr]


def test_what_was_taken_for_a_wait_that_the_step_then_cancels_is_there_after_a_crash(
    course: Callable[..., Course],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    c = course(_takes_the_first)
    c.parks()
    c.task.signal("a", 1)
    c.task.signal("b", 2)

    def is_lost(*_: Any) -> None:
        raise LeaseLost("the worker is killed here")

    monkeypatch.setattr("agent_tasks.engine.steps.waits.StepWaits.cancel_wait", is_lost)
    c.driver.crash(c.driver.run(c.task_id, c.function))
    monkeypatch.undo()
    rows = query(c.driver.client, "SELECT status FROM agent_tasks.calls WHERE task_id = %s", c.task_id)
    assert [row["status"] for row in rows] == ["completed", "completed"]
    assert c.ends() == ["a", 2]


def test_what_the_step_left_without_taking_it_in_is_there_for_a_later_one(
    course: Callable[..., Course],
) -> None:
    async def step(ctx: Context) -> None:
        await ctx.wait("a")

    c = course(step)
    c.task.signal("a", 1)
    run = c.driver.run(c.task_id, step)
    operations: Any = run.operations
    (awaited,) = operations._taken
    operations.give_back()
    with c.driver.client.database.connection() as connection:
        assert signal.inbox(connection, c.task_id, ["a"]) == []  # its code has it
        awaited.is_given = False
        operations.give_back()
        assert len(signal.inbox(connection, c.task_id, ["a"])) == 1
    assert operations.take_waits([awaited], [100]) == []


def test_the_engine_gives_back_what_a_step_left_behind(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> None:
        await ctx.wait("a")

    c = course(step)
    c.task.signal("a", 1)
    run = c.driver.run(c.task_id, step)
    operations: Any = run.operations
    operations._taken[0].is_given = False  # its code had returned before
    executor: Any = Executor(*_around(c.driver))
    assert executor._finish(run, result_of(run)) is None
    assert c.task.stored().status == "completed"
    with c.driver.client.database.connection() as connection:
        assert len(signal.inbox(connection, c.task_id, ["a"])) == 1


def _around(driver: Driver) -> tuple[Any, ...]:
    """What an executor has around it, of which only the commits are real."""
    active = SimpleNamespace(draining=False, remove=lambda _: None)
    telemetry = SimpleNamespace(ended=lambda *_: None)
    publication = SimpleNamespace(publish=lambda _: None)
    return driver.client.settings, None, active, None, driver.commits, publication, None, telemetry


def test_a_take_that_waited_for_the_cancelling_of_its_task_says_that_the_lease_is_lost(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = claimed(client, submitted(client))
    client.get(taken.id).signal("go", 1)
    over = park.over

    def cancelled_meanwhile(*given: Any) -> Any:
        client.get(taken.id).cancel()
        return over(*given)

    monkeypatch.setattr(park, "over", cancelled_meanwhile)
    with client.database.connection() as connection, pytest.raises(LeaseLost):
        park.take(connection, taken, [open_wait(0)], [1])


def test_a_failure_beside_a_wait_is_made_again_after_parking_as_without(course: Callable[..., Course]) -> None:
    def breaks() -> None:
        make("tried")
        raise OSError("their disk")

    async def step(ctx: Context) -> None:
        await asyncio.gather(ctx.wait("a"), ctx.call(breaks), return_exceptions=True)
        raise ConnectionError("the step's own")

    c = course(step)
    c.parks()
    c.task.signal("a", 1)
    for expected in (1, 2):
        c.run()
        assert made == ["tried"] * expected
        c.time_passes()


def test_a_step_that_waits_and_cannot_be_parked_is_told_of_once(
    course: Callable[..., Course],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(waits, "_PATIENCE_SECONDS", 0.01)

    async def step(ctx: Context) -> None:
        waiting = asyncio.create_task(ctx.wait("a"))
        while not [record for record in caplog.records if record.levelno == logging.WARNING]:
            await asyncio.sleep(0.01)
        waiting.cancel()

    course(step).ends()
    (record,) = caplog.records
    assert "cannot be parked" in record.message
    assert f"{__file__}:" in record.message


# --- forks ------------------------------------------------------------------------------------------------------


def _forked(c: Course) -> None:
    c.run()
    assert row_of(c.driver.client, c.task_id)["status"] == "completed"
    c.task = c.task.resume(from_step=0)
    c.task_id = c.task.id


def test_a_fork_from_before_a_wait_is_answered_anew(course: Callable[..., Course]) -> None:
    urls: list[str] = []

    async def step(ctx: Context) -> Any:
        await ctx.call(make, "draft")
        urls.append(await ctx.hook("approval"))
        return (await ctx.wait("approval", timeout=60)).payload  # type: ignore[union-attr]

    c = course(step)
    c.parks()
    c.driver.client.answer_hook(urls[0], "old")
    _forked(c)
    c.parks()
    assert urls[-1] != urls[0]
    c.driver.client.answer_hook(urls[-1], "new")
    assert c.ends() == "new"
    assert made == ["draft"]


def test_a_fork_from_before_a_sleep_sleeps_anew(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> str:
        await ctx.sleep(60)
        return "awake"

    c = course(step)
    c.parks()
    c.time_passes()
    assert c.ends() == "awake"
    c.task = c.task.resume(from_step=0)
    c.task_id = c.task.id
    assert c.parks()["waiting_for"]["kind"] == "timer"


def test_what_lost_a_race_against_a_wait_may_win_in_a_fork(course: Callable[..., Course]) -> None:
    async def step(ctx: Context) -> str:
        asked, slept = asyncio.create_task(ctx.wait("a")), asyncio.create_task(ctx.sleep(60))
        done, left = await asyncio.wait({asked, slept}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        return "asked" if asked in done else "slept"

    c = course(step)
    c.parks()
    c.task.signal("a", 1)
    _forked(c)
    c.parks()
    c.time_passes()
    assert c.ends() == "slept"


# --- the release before, which knows of no wait within a step ---------------------------------------------------

_DELIVERED_BY_IT = f"""
    WITH waiting AS (
        SELECT id, step_number, waiting_for FROM agent_tasks.tasks
        WHERE id = %(id)s AND status = 'waiting' AND waiting_for ->> 'kind' = 'signal' FOR NO KEY UPDATE
    ), firsts AS (
        SELECT DISTINCT ON (signals.name) signals.seq FROM agent_tasks.signals
            JOIN waiting ON signals.task_id = waiting.id
        WHERE signals.consumed_step IS NULL
            AND signals.name IN (SELECT jsonb_array_elements_text(waiting.waiting_for -> 'names'))
            AND (signals.wait_id IS NULL OR signals.wait_id = waiting.waiting_for ->> 'wait_id')
        ORDER BY signals.name, signals.seq
    ), consumed AS (
        UPDATE agent_tasks.signals SET consumed_step = waiting.step_number,
            receipt = CASE WHEN signals.signal_id = %(signal_id)s THEN %(receipt)s::jsonb ELSE signals.receipt END
        FROM waiting
        WHERE signals.seq = ANY (ARRAY(SELECT seq FROM firsts))
            AND CASE waiting.waiting_for ->> 'mode'
                WHEN 'all' THEN (SELECT count(*) FROM firsts) = jsonb_array_length(waiting.waiting_for -> 'names')
                ELSE signals.seq = (SELECT min(seq) FROM firsts) END
        RETURNING signals.task_id
    ), changed AS (
        UPDATE agent_tasks.tasks SET {COUNTED}, {IDLE} WHERE id = ANY (ARRAY(SELECT task_id FROM consumed))
        RETURNING *
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def test_a_signal_that_the_release_before_delivers_to_a_parked_step_is_taken_by_the_step(
    course: Callable[..., Course],
) -> None:
    async def step(ctx: Context) -> Any:
        return [each.payload for each in await asyncio.gather(ctx.wait("a"), ctx.wait("b")) if each]

    c = course(step)
    values = {"signal_id": None, "receipt": "{}", "ring_seconds": 60, **event_list([("dispatched", None)])}
    for name in "ba":
        c.parks()
        with c.driver.client.database.connection() as connection:
            signal.keep(connection, c.task_id, name, json.dumps(name), signal_id=None, sender=None)
            assert connection.execute(_DELIVERED_BY_IT, {"id": c.task_id, **values}).fetchone() is not None
        assert row_of(c.driver.client, c.task_id)["status"] == "pending"
    assert c.ends() == ["a", "b"]

"""Steps written straight down: the hooks of their waits."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from agent_tasks import Context, HookClosed, InvalidInput, InvalidState, SyncContext, Wait
from agent_tasks.transitions import signal
from tests.database import row_of
from tests.database.courses import Course


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

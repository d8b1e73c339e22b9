"""Contexts without servers: a step is called as the function that it is."""

import asyncio

import pytest

from agent_tasks import Budget, BudgetExhausted, Context, Done, Signal, Wait
from agent_tasks.testing import FakeContext, FakeSyncContext
from agent_tasks.testing.calls import Refused
from tests.testing.agents_tested import complete, double, draft, publish, second, send


def test_an_async_step_is_called_with_its_calls_stubbed() -> None:
    ctx = FakeContext(budget=Budget(tokens=100))
    ctx.calls.stub(complete, returns="a draft", spends={"tokens": 40})
    made = asyncio.run(draft(ctx, topic="tides"))
    assert isinstance(made, Wait)
    assert made.state == {"text": "a draft"}
    assert (ctx.charged.tokens, ctx.charged.calls, ctx.budget.tokens) == (40, 1, 60)
    ctx.calls.allow(send)
    assert asyncio.run(publish(ctx, "text", None)) == Done({"sent": None})


def test_a_plain_step_is_called_and_its_calls_run_where_they_are_allowed() -> None:
    ctx = FakeSyncContext()
    ctx.calls.allow(double)
    assert [ctx.call(double, 2), ctx.call(double, 2)] == [4, 4]
    assert second(ctx, n=3)["n"] == 3


def test_a_call_that_is_not_stubbed_is_refused() -> None:
    with pytest.raises(Refused, match="neither stubbed nor allowed"):
        FakeSyncContext().call(double, 2)


def test_what_a_step_spends_beyond_its_budget_is_refused() -> None:
    ctx = FakeSyncContext(budget=Budget(tokens=10))
    with pytest.raises(BudgetExhausted):
        ctx.charge(tokens=11)


def test_waits_are_over_at_once_with_what_the_test_says() -> None:
    async def step(ctx: Context) -> tuple[object, object]:
        there, missing = await ctx.wait("there"), await ctx.wait("missing", timeout=60)
        await ctx.sleep(3600)
        return there.payload if isinstance(there, Signal) else None, missing

    ctx = FakeContext(signals={"there": {"ok": True}})
    assert asyncio.run(step(ctx)) == ({"ok": True}, None)
    assert len(ctx.waited) == 3


def test_what_a_step_says_is_there_to_be_looked_at() -> None:
    ctx = FakeSyncContext()
    ctx.emit("found", [1])
    ctx.progress(1, 2, "half")
    ctx.partial("so far")
    assert (ctx.emitted, ctx.shown, ctx.partials) == ([("found", [1])], [(1, 2, "half")], ["so far"])
    assert ctx.hook("approval").startswith("https://hooks.invalid/")


def test_gathered_calls_with_equal_arguments_are_not_refused() -> None:
    async def step(ctx: Context) -> list[str]:
        return [*await asyncio.gather(ctx.call(complete, "x"), ctx.call(complete, "x")), await ctx.call(complete, "x")]

    ctx = FakeContext()
    ctx.calls.stub(complete, returns="a")
    assert asyncio.run(step(ctx)) == ["a", "a", "a"]

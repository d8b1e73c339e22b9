"""Type checkers find the package, and refuse what a user gets wrong."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.typed import mypy, pyright

HEAD = """
import asyncio
from typing import Any, assert_type
from uuid import UUID
from agent_tasks import Agent, Child, ChildOutcome, Context, FanOut, Next, Retry, Signal, Sleep, SyncContext, Wait
from agent_tasks import AgentTasks, Budget, Identity, TaskHandle, TaskSnapshot
from agent_tasks import A2AAgent, McpResult, McpServer, agent, aio, schedule, submit, submit_many
from agent_tasks.aio import AsyncTaskHandle
from agent_tasks.contrib.fastapi import Submit
from agent_tasks.task.budget import Spend
from agent_tasks.testing import FakeContext, FakeSyncContext, Kit

writer = Agent("writer")

async def complete(prompt: str, words: int = 5) -> str:
    return prompt

def count(text: str) -> int:
    return len(text)

@writer.step(retry=Retry(attempts=2))
async def publish(ctx: Context, text: str, signal: Signal[int] | None) -> str:
    return text

@writer.step
async def publish_all(ctx: Context, text: str, signal: dict[str, Signal[Any]] | None) -> str:
    return text

@writer.step
def combine(ctx: SyncContext, topic: str, children: list[ChildOutcome]) -> str:
    return topic

@writer.step
async def end(ctx: Context) -> str:
    return ""

@agent("one")
async def one(ctx: Context, topic: str) -> int:
    return 1

@writer.step
async def draft(ctx: Context, topic: str, words: int) -> Next:
"""
WRONG = """
submit("writer", {"topic": "x"}, budget=5)
submit("writer", ["topic"])
submit(7)
submit("writer", prioritiy=3)
submit("writer").signal(5)
submit("writer").result(timeout="soon")
submit_many("writer", [{}], prioritiy=3)
submit_many("writer", [1])
schedule("writer", every="soon")
schedule("writer", every=1, prioritiy=3)
Agent("writer", budgets=3)
agent("writer", budgets=3)
writer.step(retry=3)
Retry(tries=3)
Child("writer", wait=1)
FanOut(["writer"], then=draft)
FanOut([Child("writer")], then=draft, split="odd")
Next(draft, topic=1, words=2)
Next(draft, topick="x", words=2)
Next(draft, topic="x")
Next(draft, "x", 2, signal=3)
Next(7)
Next(end, topic="x")
Sleep(5, then=draft, topic=1, words=2)
Sleep(5, then=draft, topick="x", words=2)
Sleep(5, then=draft, topic="x")
Sleep("soon", then=draft, topic="x", words=2)
Sleep(5)
Wait("approval", then=draft, topic=1, words=2)
Wait("approval", then=draft, topick="x", words=2)
Wait("approval", then=draft, topic="x")
Wait("approval", then=draft, timeout="soon", topic="x", words=2)
Wait("approval", then=publish, timeout="soon", text="x")
Wait("approval", then=publish, all="yes", text="x")
Wait(5, then=publish, text="x")
Wait("approval", text="x")
FanOut([Child("writer")], then=draft, topic=1, words=2)
FanOut([Child("writer")], then=draft, topick="x", words=2)
FanOut([Child("writer")], then=draft, topic="x")
FanOut([Child("writer")], then=combine, reserve="much", topic="x")
FanOut([Child("writer")], then=combine, on_child_failure="ignore", topic="x")
FanOut([Child("writer")], topic="x")
Child("writer", budget=5)
Child(a2a=7)
McpServer("https://a.example", headers=5)
A2AAgent("https://a.example", skill=5)
submit("writer", input=7)
submit("writer", identity="ana")
submit("writer", idempotency_key=7)
submit("writer", session_id=7)
submit("writer", callback_url=7)
submit("writer", queue=7)
submit("writer", priority="high")
submit("writer", ttl="soon")
submit("writer", metadata="x")
submit("writer", traceparent=7)
submit_many("writer", [{}], idempotency_key="k")
Budget(usd="much")
Identity(subject=7)
writer.step(name=7)
draft(Context.__new__(Context), topic="x")
one(Context.__new__(Context), 7)
submit("writer").cancel(reason=7)
submit("writer").resume(budget=5)
submit("writer").result(30, 40)
AgentTasks(settings="x")
aio.AsyncAgentTasks("x")
FakeContext(budgets=Budget(usd=1.0))
FakeContext(attempt="2")
combine(FakeContext(), "x", [])
FakeSyncContext(signals=["approval"])
Kit.crash_everywhere("kit", writer)
"""
RIGHT = """
assert_type(submit("writer", {"topic": "x"}, budget=Budget(usd=1.0), identity=Identity(subject="a")), TaskHandle)
assert_type(submit_many(writer, [{"topic": "x"}], priority=3), list[TaskHandle])
assert_type(submit("writer").wait(timeout=3), TaskSnapshot)
assert_type(submit("writer").id, UUID)
Next(draft, topic="x", words=2)
Next("draft", topic="x")
Next(end)
Sleep(5, then=draft, topic="x", words=2)
Sleep(5, then="draft", anything=2)
Wait("approval", then=draft, topic="x", words=2)
Wait("approval", then=draft, timeout=5, on_timeout=end, topic="x", words=2)
Wait("approval", then=publish, timeout=5, text="x")
Wait(["a", "b"], then=publish_all, all=True, text="x")
Wait("approval", then="publish", text="x")
FanOut([Child("writer", {"topic": "x"})], then=combine, reserve=5, topic="x")
FanOut([Child(writer)], then=draft, split="adaptive", topic="x", words=2)
FanOut([Child(writer)], then="combine", topic="x")
assert_type(asyncio.run(publish(FakeContext(budget=Budget(usd=1.0), signals={"approval": 1}), "x", None)), str)
assert_type(combine(FakeSyncContext(attempt=2), "x", []), str)
assert_type(FakeContext().charged, Spend)
"""
RIGHT_IN_A_STEP = """
assert_type(await ctx.call(complete, "x", words=3), str)
assert_type(await ctx.call(count, "x"), int)
assert_type(await ctx.using(key="k", retry=Retry(attempts=2)).call(complete, "x"), str)
assert_type(await ctx.using(at_most_once=True).call(count, "x"), int)
assert_type(await publish(ctx, "x", None), str)
assert_type(await ctx.wait("approval", timeout=5), Signal[Any] | None)
assert_type(await ctx.wait(["a", "b"], all=True), dict[str, Signal[Any]] | None)
assert_type(await ctx.mcp("https://a.example/mcp").call("search", {"q": "x"}), McpResult)
assert_type(await ctx.using(key="k").mcp(McpServer("https://a.example/mcp")).call("search"), McpResult)
assert_type(await ctx.fan_out([Child(a2a=A2AAgent("https://a.example"), input="x")]), list[ChildOutcome])
assert_type(await ctx.fan_out([Child(writer, {"topic": "x"})], reserve=5), list[ChildOutcome])
await ctx.sleep(5)
assert_type(await ctx.uuid(), UUID)
assert_type(await aio.submit("writer", {"topic": "x"}, priority=3), AsyncTaskHandle)
assert_type(await aio.submit_many("writer", [{}]), list[AsyncTaskHandle])
assert_type(await (await aio.submit("writer")).snapshot(), TaskSnapshot)
assert_type(await (await aio.submit("writer")).children(), list[AsyncTaskHandle])
assert_type(await Submit(aio.AsyncAgentTasks(), object())("writer", {}, queue="q"), AsyncTaskHandle)
"""
WRONG_IN_A_STEP = """
await ctx.wait(5)
await ctx.wait("approval", timeout="soon")
(await ctx.wait("approval")).payload
(await ctx.wait(["a", "b"], all=True))["a"]
await ctx.sleep("soon")
await ctx.fan_out(["writer"])
await ctx.fan_out([Child(writer)], split="odd")
(await ctx.fan_out([Child(writer)]))[0].outcome
await ctx.call(complete, 7)
await ctx.call(complete, "x", "y")
await ctx.call(complete, "x", word=3)
await ctx.call("complete")
len(await ctx.call(complete, "x")) + "x"
await ctx.charge(token=5)
await ctx.progress("half")
await aio.submit("writer", prioritiy=3)
await (await aio.submit("writer")).signal("approval", nonsense=1)
await aio.AsyncAgentTasks().submit_many("writer", [1])
await ctx.using(key="k").call(complete, 7)
await ctx.using(key="k").call(complete, "x", word=3)
await ctx.using(key="k").call(count)
len(await ctx.using(key="k").call(complete, "x")) + "x"
ctx.using(keys="k")
ctx.using(retry=3)
await ctx.call(count)
(await ctx.call(count, "x")).upper()
await ctx.call(complete, "x", at_most_once="yes")
await aio.submit("writer", budget=5)
await aio.submit("writer", ["topic"])
await aio.get(7)
await (await aio.submit("writer")).cancel(7)
await (await aio.submit("writer")).resume(budgets=5)
(await (await aio.submit("writer")).snapshot()).stat
await Submit(aio.AsyncAgentTasks(), object())("writer", prioritiy=3)
await Submit(aio.AsyncAgentTasks(), object()).many("writer", [1])
"""
WRONG_IN_A_PLAIN_STEP = """
ctx.wait("approval").payload
ctx.fan_out(["writer"])
ctx.fan_out([Child(writer)])[0].outcome
ctx.call(complete, 7)
ctx.call(complete, "x", word=3)
ctx.charge(token=5)
ctx.using(key="k").call(complete, 7)
ctx.call(count, "x").upper()
"""


def module(folder: Path) -> tuple[Path, set[int]]:
    """A file with all that is wrong, and the numbers of those lines."""
    lines = HEAD.strip().splitlines()
    wrong: set[int] = set()

    def add(block: str, indent: str = "", *, is_wrong: bool = True) -> None:
        for line in block.strip().splitlines():
            lines.append(indent + line)
            if is_wrong:
                wrong.add(len(lines))

    add(RIGHT_IN_A_STEP, "    ", is_wrong=False)
    add(WRONG_IN_A_STEP, "    ")
    lines.append('    return Next(draft, topic="x", words=1)')
    lines.append("def plain(ctx: SyncContext) -> None:")
    add(WRONG_IN_A_PLAIN_STEP, "    ")
    add(RIGHT, is_wrong=False)
    add(WRONG)
    lines.append("asyncio.run(draft(Context.__new__(Context), '', 1))")
    path = folder / "wrong.py"
    path.write_text("\n".join(lines) + "\n")
    return path, wrong


@pytest.mark.parametrize("check", [pyright, pytest.param(mypy, marks=pytest.mark.slow)])
def test_wrong_arguments_are_refused(
    tmp_path: Path, check: Callable[[Sequence[Path]], dict[tuple[str, int], str]]
) -> None:
    path, wrong = module(tmp_path)
    said = {line: problem for (_, line), problem in check([path]).items()}
    lines = path.read_text().splitlines()
    assert [lines[number - 1] for number in sorted(wrong - set(said))] == [], "these pass"
    assert [(lines[number - 1], said[number]) for number in sorted(set(said) - wrong)] == [], "these are right"

"""Type checkers find the package, and refuse what a user gets wrong."""

from pathlib import Path

from tests.typed import mypy, pyright

HEAD = """
import asyncio
from agent_tasks import Agent, Child, Context, FanOut, Next, Retry, SyncContext
from agent_tasks import agent, aio, schedule, submit, submit_many

writer = Agent("writer")

async def complete(prompt: str, words: int = 5) -> str:
    return prompt

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
"""
WRONG_IN_A_STEP = """
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
"""
WRONG_IN_A_PLAIN_STEP = """
ctx.call(complete, 7)
ctx.call(complete, "x", word=3)
ctx.charge(token=5)
"""


def module(folder: Path) -> tuple[Path, set[int]]:
    """A file with all that is wrong, and the numbers of those lines."""
    lines = HEAD.strip().splitlines()
    wrong: set[int] = set()

    def add(block: str, indent: str = "") -> None:
        for line in block.strip().splitlines():
            lines.append(indent + line)
            wrong.add(len(lines))

    add(WRONG_IN_A_STEP, "    ")
    lines.append('    return Next(draft, topic="x", words=1)')
    lines.append("def plain(ctx: SyncContext) -> None:")
    add(WRONG_IN_A_PLAIN_STEP, "    ")
    add(WRONG)
    lines.append("asyncio.run(draft(Context.__new__(Context), '', 1))")
    path = folder / "wrong.py"
    path.write_text("\n".join(lines) + "\n")
    return path, wrong


def test_wrong_arguments_are_refused_by_mypy_and_by_pyright(tmp_path: Path) -> None:
    path, wrong = module(tmp_path)
    assert {line for _, line in mypy([path])} == wrong
    assert {line for _, line in pyright([path])} == wrong

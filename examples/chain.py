"""Steps one after the other: what a step returns is committed before the next one begins."""

from agent_tasks import Agent, Budget, Context, Done, Next, submit

writer = Agent("example-writer", budget=Budget(seconds=60, usd=0.50))


async def complete(prompt: str) -> str:
    """Stands for a model."""
    return f"[{prompt}]"


@writer.step
async def outline(ctx: Context, topic: str) -> Next:
    plan = await ctx.call(complete, f"outline {topic}")  # recorded: if this step runs again, the call is not made again
    await ctx.charge(tokens=120, usd=0.0004)
    return Next(draft, topic=topic, plan=plan)


@writer.step
async def draft(ctx: Context, topic: str, plan: str) -> Done:
    await ctx.progress(1, 2, f"Writing on {topic}")
    return Done({"topic": topic, "text": await ctx.call(complete, f"write from {plan}")})


if __name__ == "__main__":
    task = submit(writer, {"topic": "tides"}, budget=Budget(seconds=30))
    print(task.result(timeout=30)["text"])
    print(f"{task.snapshot().budget.spent.usd:.4f} usd spent")

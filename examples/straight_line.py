"""A whole agent as one function: it waits for a person in the middle of it, and holds no worker meanwhile."""

from datetime import timedelta

from agent_tasks import Context, agent, submit


async def model(prompt: str) -> str:  # stands for a model
    return f"[{prompt}]"


@agent("example-editor", signals=["review"])
async def editor(ctx: Context, topic: str) -> str:
    text = await ctx.call(model, f"write about {topic}")
    for _ in range(3):
        review = await ctx.wait("review", timeout=timedelta(days=2))  # parked: this function ends here, and comes back
        if review is None or review.payload == "fine":
            break
        text = await ctx.call(model, f"{text}, but {review.payload}")
    return text


if __name__ == "__main__":
    task = submit("example-editor", {"topic": "tides"})
    task.signal("review", "shorter")
    task.signal("review", "fine")
    print(task.result(timeout=30))

"""A model that fails: the step goes on with another one, or is tried again later, on no worker meanwhile."""

from agent_tasks import Context, Retry, UpstreamUnavailable, agent, submit


async def large_model(prompt: str) -> str:
    raise UpstreamUnavailable("the large model is overloaded", retry_after=20)


async def small_model(prompt: str) -> str:
    return f"small answer to {prompt}"


@agent("example-fallback")
async def fallback(ctx: Context, prompt: str) -> str:
    """A failure that the step has seen is recorded, too: if the step runs again, it falls back again."""
    try:
        return await ctx.call(large_model, prompt)
    except UpstreamUnavailable:
        return await ctx.call(small_model, prompt)


async def busy_model(prompt: str, attempt: int) -> str:
    if attempt < 3:
        raise UpstreamUnavailable("busy", retry_after=0.1)
    return f"answer to {prompt}"


@agent("example-retry", retry=Retry(attempts=5, base=0.1, on=(UpstreamUnavailable, TimeoutError)))
async def retry(ctx: Context, prompt: str) -> str:
    answer = await ctx.call(busy_model, prompt, ctx.attempt)
    return f"{answer}, at attempt {ctx.attempt}"


if __name__ == "__main__":
    print(submit("example-fallback", {"prompt": "why?"}).result(timeout=30))
    print(submit("example-retry", {"prompt": "why?"}).result(timeout=30))

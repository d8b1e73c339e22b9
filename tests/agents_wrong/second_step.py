"""A later step, whose signal has a type that nobody knows."""

from agent_tasks import Agent, Context, Signal, Wait

decides = Agent("decides")


@decides.step
async def ask(ctx: Context):
    return Wait("decision", then=decide)


@decides.step
async def decide(ctx: Context, signal: "Signal[Decision] | None"):  # type: ignore[name-defined]  # noqa: F821
    return signal

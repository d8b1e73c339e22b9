"""A loop that sleeps between its rounds: it looks until the report is there, or it has looked often enough."""

from datetime import timedelta

from agent_tasks import Agent, Context, Done, Next, Partial, Sleep, submit

watcher = Agent("example-watcher")


async def fetch(report: str, look: int) -> str | None:
    """Stands for a service whose report takes a while."""
    return f"all about {report}" if look == 3 else None


@watcher.step
async def look(ctx: Context, report: str, number: int = 1) -> Next | Sleep | Partial:
    text = await ctx.call(fetch, report, number)
    if text is not None:
        return Next(finish, text=text, looks=number)
    if number == 10:
        return Partial(None, f"there was no report after {number} looks")
    return Sleep(timedelta(seconds=0.1), then=look, report=report, number=number + 1)


@watcher.step
async def finish(ctx: Context, text: str, looks: int) -> Done:
    return Done(f"{text}, after {looks} looks")


if __name__ == "__main__":
    print(submit(watcher, {"report": "tides"}).result(timeout=30))

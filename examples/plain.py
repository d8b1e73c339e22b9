"""Steps that are plain functions, for libraries that block: each has a slot of the worker to itself."""

from agent_tasks import Agent, Context, Next, SyncContext, UpstreamUnavailable, submit

counter = Agent("example-counter", tools=["read", "translate"])


def read(file: str) -> list[str]:
    """Stands for a library that blocks."""
    return [f"{file} line {number}" for number in range(3)]


async def translate(line: str) -> str:
    return line.upper()


@counter.step
def load(ctx: SyncContext, file: str) -> Next:
    lines = ctx.call(read, file)
    ctx.charge(tokens=len(lines))
    return Next(translate_all, lines=lines)


@counter.step
def translate_all(ctx: SyncContext, lines: list[str]) -> Next:
    done: list[str] = []
    for number, line in enumerate(lines):
        ctx.check_cancelled()
        ctx.progress(number, len(lines))
        done.append(ctx.call(translate, line))  # an async function runs on the worker's event loop
    return Next(count, lines=done)


@counter.step
async def count(ctx: Context, lines: list[str]) -> dict[str, int]:
    if not lines:
        raise UpstreamUnavailable("the file was empty")
    return {line: len(line) for line in lines}


if __name__ == "__main__":
    print(submit(counter, {"file": "log"}).result(timeout=30))

"""An agent as its first release has it; `tests.release_new` is the second."""

from agent_tasks import Agent, SyncContext, Wait

grows = Agent("grows")


@grows.step
def begin(ctx: SyncContext, to: str) -> Wait:
    return Wait("go", then=finish, to=to)


@grows.step
def finish(ctx: SyncContext, to: str) -> str:
    return f"hello {to}"


def send_back(ctx: SyncContext, who: str, box: int) -> None:
    ctx.emit("sent_back", {"to": who, "box": box})


moves = Agent("moves")


@moves.step(undo=send_back)
def pack(ctx: SyncContext, who: str) -> Wait:
    return Wait("go", then=carry, who=who, box=7)


@moves.step
def carry(ctx: SyncContext, who: str, box: int) -> str:
    return f"{who} has {box}"

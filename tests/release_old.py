"""An agent as its first release has it; `tests.release_new` is the second."""

from agent_tasks import Agent, SyncContext, Wait

grows = Agent("grows")


@grows.step
def begin(ctx: SyncContext, to: str) -> Wait:
    return Wait("go", then=finish, to=to)


@grows.step
def finish(ctx: SyncContext, to: str) -> str:
    return f"hello {to}"

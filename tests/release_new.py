"""The agent of `tests.release_old` with an argument more."""

from agent_tasks import Agent, SyncContext, Wait

grows = Agent("grows")


@grows.step
def begin(ctx: SyncContext, to: str, by: str = "us") -> Wait:
    return Wait("go", then=finish, to=to, by=by)


@grows.step
def finish(ctx: SyncContext, to: str, by: str) -> str:
    return f"hello {to} from {by}"

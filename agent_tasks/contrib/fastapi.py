"""AgentTasks in a FastAPI app: its lifespan, and dependencies for the client and for submits in a request's session."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

from fastapi import Depends
from fastapi.requests import HTTPConnection

from agent_tasks.aio import AsyncAgentTasks
from agent_tasks.client.client import AgentTasks
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


def lifespan(settings: Settings | None = None) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that opens a client when the app starts and closes it when the app ends.

    `FastAPI(lifespan=lifespan())`; within a lifespan of your own, `async with lifespan()(app):`. `settings` are those
    of `AgentTasks`. Raises, at the start, what `Settings.load` raises.
    """

    @asynccontextmanager
    async def opened(app: Any) -> AsyncGenerator[None]:
        tasks = AsyncAgentTasks(AgentTasks(settings))
        app.state.agent_tasks = tasks
        try:
            yield
        finally:
            await tasks.close()

    return opened


def client(connection: HTTPConnection) -> AsyncAgentTasks:
    """Return the client that the app's lifespan has opened: the dependency behind `Tasks`."""
    found = getattr(connection.app.state, "agent_tasks", None)
    if found is None:
        raise RuntimeError(
            "This app has no client of agent-tasks: give it the lifespan of agent_tasks.contrib.fastapi, as in "
            "FastAPI(lifespan=lifespan()), and in tests enter it: with TestClient(app). A mounted app has a state of "
            "its own: set its state.agent_tasks to that of the app around it."
        )
    return found


Tasks = Annotated[AsyncAgentTasks, Depends(client)]
"""An endpoint's parameter `tasks: Tasks` is the app's `AsyncAgentTasks`."""


def _within(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    async def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {"connection": self.session, **kwargs}
        if given["connection"] is not self.session:
            raise InvalidInput(
                "This submit is within the request's session: leave connection= out.", field="connection"
            )
        return await getattr(self.tasks, method.__name__)(*args, **given)

    return call


class Submit:
    """The app's client, bound to the session of a request: what it submits is part of the session's transaction."""

    def __init__(self, tasks: AsyncAgentTasks, session: Any) -> None:
        self.tasks = tasks
        self.session = session

    __call__ = _within(AsyncAgentTasks.submit)
    many = _within(AsyncAgentTasks.submit_many)


def submit_within(session: Callable[..., Any]) -> Callable[..., Submit]:
    """Return the dependency that hands an endpoint a `Submit` in the transaction of its session.

    `session`: your own dependency that yields an `AsyncSession` (or a `Session`). A request has one, which the endpoint
    and `Submit` share; who commits it is unchanged. `Annotated[Submit, Depends(submit_within(get_session))]`.
    """

    def bound(tasks: Tasks, session: Annotated[Any, Depends(session)]) -> Submit:
        return Submit(tasks, session)

    return bound


__all__ = ["Submit", "Tasks", "client", "lifespan", "submit_within"]

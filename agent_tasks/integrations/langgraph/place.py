"""The place of code within a graph that a step runs, by which its calls are known however the graph goes on."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.types import interrupt

from agent_tasks.authoring.calls.call_identity import digest_of
from agent_tasks.authoring.context import Context
from agent_tasks.errors import InvalidInput, StepFailed
from agent_tasks.integrations.approvals import Approval

T = TypeVar("T")
ASKED_BY = "agent_tasks_call"
"""What an interrupt for an approval has the call's key under."""
_current: ContextVar["Running | None"] = ContextVar("agent_tasks_graph", default=None)


class Running:
    """A graph that a step runs now.

    Calls have keys, since a graph that goes on from a checkpoint passes over nodes that have ended, and their calls. A
    key is of LangGraph's name of the node's run, the same whenever that runs, of what is called, and of the place among
    equals.
    """

    def __init__(self, ctx: Context, thread: str, approvals: Mapping[str, Approval]) -> None:
        """`approvals`: the answers so far to tool calls that need one, by the calls' keys."""
        self.ctx = ctx
        self._thread = thread
        self._approvals = approvals
        self._loop = asyncio.get_running_loop()
        self._equals: Counter[str] = Counter()

    def key(self, name: str, given: Any) -> str:
        """Return the key of a call that begins now; `given` is what tells it from others of the same node."""
        place = get_config().get("configurable", {}).get("checkpoint_ns", "")
        known_by = digest_of((self._thread, place, name, given), {})
        number = self._equals[known_by]
        self._equals[known_by] += 1
        return f"graph {known_by} {number}"

    def approval(self, key: str, tool: str, arguments: Any) -> Approval:
        """Return the answer to a tool call, or interrupt the graph to ask for it.

        It is found by the call's key. What LangGraph resumes an interrupt with is told apart by order alone, which
        tools that run side by side do not keep.
        """
        if key not in self._approvals:
            interrupt({ASKED_BY: key, "tool": tool, "arguments": arguments})
        return self._approvals[key]

    async def make(self, key: str, name: str, body: Callable[[], Awaitable[Any]], **options: Any) -> Any:
        """Return what `body` returns, JSON, as a recorded call."""

        async def once() -> Any:
            try:
                return await body()
            except GraphBubbleUp as error:
                raise StepFailed(
                    f"{name} is recorded, and cannot interrupt the graph or send it elsewhere: use it without "
                    "recorded(), or ask before it runs, by recorded(approval=True)"
                ) from error

        once.__name__ = once.__qualname__ = name
        return await self.ctx.using(key=key, name=name, **options).call(once)

    def wait_for(self, made: Coroutine[Any, Any, T]) -> T:
        """Return what comes of a call that a plain function makes, in a thread. Raises InvalidInput on the loop."""
        try:
            is_on_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_on_loop = False
        if is_on_loop:
            made.close()
            raise InvalidInput(
                "A recorded model or tool is awaited in an async node, by ainvoke; invoke is for plain nodes"
            )
        return asyncio.run_coroutine_threadsafe(made, self._loop).result()


@contextmanager
def within(running: Running | None) -> Generator[None]:
    """Record what the code within the `with` calls as parts of this graph; of None, record nothing."""
    token = _current.set(running)
    try:
        yield
    finally:
        _current.reset(token)


def running() -> Running | None:
    """Return the graph within which this code runs; None outside of a step."""
    return _current.get()

"""Doing: the operations of either kind of step, awaited also where it blocks: what uses them is written once."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, Protocol

from agent_tasks.authoring.calls import notes
from agent_tasks.authoring.calls.charging import charge, charge_plainly
from agent_tasks.authoring.calls.operations import Call, Cancellable, Operations
from agent_tasks.authoring.calls.spent import Spent
from agent_tasks.authoring.calls.writes import durably
from agent_tasks.authoring.directives import FanOut, Wait


class Doing(Protocol):
    """What a step does to send something and to wait for its end, awaited also where it blocks."""

    operations: Operations

    async def find(self, call: Call) -> tuple[Any] | None:
        """Return what the call returned before, or raise what it raised; None if it is to be made."""
        ...

    async def do(self, call: Call, function: Callable[[], Any]) -> Any: ...

    async def fail(self, call: Call, error: Exception) -> NoReturn: ...

    async def wait(self, directive: Wait | FanOut) -> Any: ...

    async def emit(self, name: str, data: Any) -> None: ...

    async def charge(self, spent: Spent) -> None: ...


class AsyncDoing:
    """How an async step does it; `do` makes a call."""

    def __init__(self, context: Cancellable, operations: Operations, do: Callable[..., Awaitable[Any]]) -> None:
        self.operations = operations
        self._context = context
        self._do = do

    async def find(self, call: Call) -> tuple[Any] | None:
        if (given := self.operations.find(call)) is None:
            return None
        await given.turn()
        return (given.outcome(),)

    async def do(self, call: Call, function: Callable[[], Any]) -> Any:
        return await self._do(call, function, (), {})

    async def fail(self, call: Call, error: Exception) -> NoReturn:
        await notes.fail(self._context, self.operations, call, error)

    async def wait(self, directive: Wait | FanOut) -> Any:
        return await self.operations.waits.wait(self._context, directive)

    async def emit(self, name: str, data: Any) -> None:
        await durably(self.operations.emit, name, data)

    async def charge(self, spent: Spent) -> None:
        await charge(self._context, self.operations, spent)


class PlainDoing:
    """How a plain step does it."""

    def __init__(self, context: Cancellable, operations: Operations, do: Callable[..., Any]) -> None:
        self.operations = operations
        self._context = context
        self._do = do

    async def find(self, call: Call) -> tuple[Any] | None:
        given = self.operations.find(call)
        return None if given is None else (given.outcome(),)

    async def do(self, call: Call, function: Callable[[], Any]) -> Any:
        return self._do(call, function, (), {})

    async def fail(self, call: Call, error: Exception) -> NoReturn:
        notes.fail_plainly(self.operations, call, error)

    async def wait(self, directive: Wait | FanOut) -> Any:
        return self.operations.waits.wait_plainly(self._context, directive)

    async def emit(self, name: str, data: Any) -> None:
        self.operations.emit(name, data)

    async def charge(self, spent: Spent) -> None:
        charge_plainly(self.operations, spent)


def plainly(running: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that awaits nothing which is not there."""
    try:
        running.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a plain step was to await something")

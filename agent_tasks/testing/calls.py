"""The calls of a test's steps: stubbed, allowed to run for real, or refused."""

import copy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_tasks.authoring.calls.call_identity import name_of
from agent_tasks.authoring.functions import is_same
from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import refused
from agent_tasks.task.budget import Budget

Spends = Budget | Mapping[str, float]
_ELSEWHERE = ("mcp:", "a2a:")


class UnexpectedCall(AssertionError):
    """A step made a recorded call that the test has neither stubbed nor allowed."""


class Refused(BaseException):
    """Raised into a step by a call that is refused: no `except Exception` of the step's lets it go on from there."""


@dataclass(frozen=True, slots=True)
class Stub:
    """What comes of the calls of one function."""

    function: Callable[..., Any] | str
    returns: Any
    raises: BaseException | type[BaseException] | None
    tokens: int
    usd: float

    def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return, or raise, what the stub was given."""
        if self.raises is not None:
            raise self.raises
        return self.returns(*args, **kwargs) if callable(self.returns) else copy.deepcopy(self.returns)


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A recorded call that was made, not given back from the ledger."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Calls:
    """Stubs for recorded calls, and which calls may run for real. None may, unless the test says so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget all that a test has said, and what was called."""
        self._stubs: list[Stub] = []
        self._allowed: list[Callable[..., Any] | str] = []
        self._all_are_allowed = False
        self._made: list[MadeCall] = []
        self._unexpected: list[str] = []

    def stub(
        self,
        function: Callable[..., Any] | str,
        *,
        returns: Any = None,
        raises: BaseException | type[BaseException] | None = None,
        spends: Spends | None = None,
    ) -> None:
        """Have recorded calls of `function` return `returns`, or raise `raises`, instead of running it.

        `function` is the function itself, or by name what goes elsewhere: `mcp:TOOL`, a tool of any MCP server, and
        `a2a:send`, the message to a remote agent; they return what the protocol has it answer.

        `returns` is a value, a copy of which each call gets, or a function that is given the call's arguments.
        `spends` is charged to the task by each call: a Budget or a mapping with tokens and usd. A later stub of the
        same function takes the place of an earlier one. Raises InvalidInput for arguments that mean nothing.
        """
        if not callable(function) and not (isinstance(function, str) and function.startswith(_ELSEWHERE)):  # pyright: ignore
            raise refused(
                "calls.stub takes the function that ctx.call is given, 'mcp:TOOL' or 'a2a:send'", function, "function"
            )
        tokens, usd = _spent(spends)
        self._stubs.append(Stub(function, returns, raises, tokens, usd))

    def allow(self, *functions: Callable[..., Any] | str) -> None:
        """Let recorded calls of these functions, named as for `stub`, run for real; without any, all not stubbed."""
        self._allowed += functions
        self._all_are_allowed = self._all_are_allowed or not functions

    def made(self, function: Callable[..., Any] | str | None = None) -> list[MadeCall]:
        """Return the calls of `function`, or all calls, that were made so far, in order."""
        with self._lock:
            return [call for call in self._made if function is None or _is(call.function, function)]

    def find(self, function: Callable[..., Any], agent: str, step: str) -> Stub | None:
        """Return the stub of a function; None where it is to run for real. Raises Refused where it may not."""
        for stub in reversed(self._stubs):
            if _is(function, stub.function):
                return stub
        if self._all_are_allowed or any(_is(function, allowed) for allowed in self._allowed):
            return None
        name = name_of(function)
        name = repr(name) if name.startswith(_ELSEWHERE) else name
        problem = (
            f"step {step} of agent {agent} called {name}, which is neither stubbed nor allowed. Stub it by "
            f"agent_tasks.calls.stub({name}, returns=…), or let it run for real by agent_tasks.calls.allow({name})."
        )
        with self._lock:
            self._unexpected.append(problem)
        raise Refused(problem)

    def note(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note a call that is made."""
        with self._lock:
            self._made.append(MadeCall(function, args, kwargs))

    def check(self) -> None:
        """Raise UnexpectedCall for each call that was refused since the last look."""
        with self._lock:
            found, self._unexpected = list(dict.fromkeys(self._unexpected)), []
        if found:
            raise UnexpectedCall("\n".join(found))


def _is(function: Callable[..., Any], named: Callable[..., Any] | str) -> bool:
    return name_of(function) == named if isinstance(named, str) else is_same(function, named)


def _spent(spends: Spends | None) -> tuple[int, float]:
    given: dict[str, Any] = {}
    if isinstance(spends, Budget):
        given = {name: value for name, value in spends.as_dict().items() if value is not None}
    elif spends is not None:
        given = dict(spends)
    if unknown := sorted(set(given) - {"tokens", "usd"}):
        raise InvalidInput(f"spends takes tokens and usd, not {', '.join(unknown)}", field="spends")
    return int(given.get("tokens", 0)), float(given.get("usd", 0.0))

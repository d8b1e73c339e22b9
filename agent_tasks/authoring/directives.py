"""Directives: what a step returns to say how its task goes on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, cast, overload

from agent_tasks.authoring.durations import seconds_of
from agent_tasks.authoring.functions import name_of
from agent_tasks.authoring.peers.a2a_agent import A2AAgent
from agent_tasks.authoring.peers.a2a_answers import message_of
from agent_tasks.authoring.peers.own import own_agent
from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import (
    LONGEST_SIGNAL,
    check_flag,
    check_priority,
    check_queue,
    is_storable,
    refused,
    shown,
)
from agent_tasks.task.budget import LARGEST_AMOUNT, Budget

if TYPE_CHECKING:
    from agent_tasks.authoring.handed import ChildOutcome, Signal

    H = TypeVar("H")

    class _OpenStep(Protocol):
        def __call__(self, ctx: Any, /, **state: Any) -> Any: ...

    class _SignalByName(Protocol):
        def __call__(self, ctx: Any, /, *args: Any, signal: Any, **state: Any) -> Any: ...

    class _ChildrenByName(Protocol):
        def __call__(self, ctx: Any, /, *args: Any, children: Any, **state: Any) -> Any: ...

    # Nothing can be left out of a ParamSpec, so the state of a step that is handed something goes unchecked. Such a
    # step is told by the place of what it is handed; where that is by name alone, mypy wants the name of the step.
    _Handed = (
        Callable[Concatenate[Any, H, ...], Any]
        | Callable[Concatenate[Any, Any, H, ...], Any]
        | Callable[Concatenate[Any, Any, Any, H, ...], Any]
        | Callable[Concatenate[Any, Any, Any, Any, H, ...], Any]
        | Callable[Concatenate[Any, Any, Any, Any, Any, H, ...], Any]
        | Callable[Concatenate[Any, Any, Any, Any, Any, Any, H, ...], Any]
    )
    _TakesSignal = _Handed[Signal[Any]] | _Handed[dict[str, Signal[Any]]] | _SignalByName | _OpenStep
    _TakesChildren = _Handed[list[ChildOutcome]] | _ChildrenByName | _OpenStep

P = ParamSpec("P")
_LATEST_YEAR = 9000  # the last year that is valid in every time zone and readable by all
StepRef = str | Callable[..., Any]
"""A step, as the function itself or by its name."""


class _Then:
    """The part that all directives naming a next step share."""

    __slots__ = ("state", "then")

    def __init__(
        self, then: StepRef, state: dict[str, Any], field: str = "then", positional: Sequence[Any] = ()
    ) -> None:
        _check_step(then, field)
        if positional:
            name = type(self).__name__
            raise InvalidInput(f"{name}({step_name(then)}, ...) takes the step's arguments by name", field=field)
        self.then = then
        self.state = state

    def _parts(self) -> tuple[Any, ...]:
        return tuple(
            step_name(value) if name in ("then", "on_timeout") and value is not None else value
            for name in sorted(slot for cls in type(self).__mro__ for slot in getattr(cls, "__slots__", ()))
            for value in (getattr(self, name),)
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and cast(_Then, other)._parts() == self._parts()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(then={step_name(self.then)}, {', '.join(self.state)})"


class Next(_Then):
    """Commit this step, then run `step` with `state` as its arguments. To loop, name an earlier step."""

    __slots__ = ()

    @overload
    def __init__(self, step: str, /, **state: Any) -> None: ...

    @overload
    def __init__(
        self, step: Callable[Concatenate[Any, P], Any], /, *positional: P.args, **state: P.kwargs
    ) -> None: ...  # a type checker that knows the step knows its arguments

    def __init__(self, step: StepRef, /, *positional: Any, **state: Any) -> None:
        super().__init__(step, state, "step", positional)

    @property
    def step(self) -> StepRef:
        """The next step, as it was given."""
        return self.then


class Wait(_Then):
    """Park the task until a signal comes; it costs nothing meanwhile.

    `signal` is a name, or several: any of them, or with `all=True` all of them. After `timeout` (seconds or a
    timedelta) `on_timeout` runs, or `then` with `signal=None`. A step that declares `signal` is given a
    `Signal`, or with `all=True` a dict of them by name. Raises InvalidInput for arguments that mean nothing.
    """

    __slots__ = ("all", "names", "on_timeout", "timeout")

    @overload
    def __init__(
        self,
        signal: str | Sequence[str],
        /,
        then: "str | _TakesSignal",
        timeout: float | timedelta | None = None,
        on_timeout: StepRef | None = None,
        all: bool = False,
        **state: Any,
    ) -> None: ...

    @overload
    def __init__(
        self,
        signal: str | Sequence[str],
        /,
        then: Callable[Concatenate[Any, P], Any],
        timeout: float | timedelta | None = None,
        on_timeout: StepRef | None = None,
        all: bool = False,
        *positional: P.args,
        **state: P.kwargs,
    ) -> None: ...

    def __init__(
        self,
        signal: str | Sequence[str],
        /,
        then: Any,
        timeout: float | timedelta | None = None,
        on_timeout: StepRef | None = None,
        all: bool = False,
        *positional: Any,
        **state: Any,
    ) -> None:
        super().__init__(then, state, positional=positional)
        given: Any = signal
        names = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
        if not names or not all_names(names):
            raise InvalidInput(
                f"Wait needs the name of a signal, or several names, each of 1 to {LONGEST_SIGNAL} characters without "
                f"NUL or lone surrogates, not {shown(given)}",
                field="signal",
            )
        self.names = tuple(dict.fromkeys(names))
        self.timeout = None if timeout is None else seconds_of(timeout, "timeout")
        if on_timeout is not None and timeout is None:
            raise InvalidInput("Wait(on_timeout=) also needs timeout=", field="timeout")
        if on_timeout is not None:
            _check_step(on_timeout, "on_timeout")
        check_flag(all, "all")
        self.on_timeout = on_timeout
        self.all = all


class Sleep(_Then):
    """Park the task for a duration (seconds or timedelta) or until a time (aware datetime); past times fire at once.

    Raises InvalidInput for a naive datetime, NaN or infinity.
    """

    __slots__ = ("seconds", "until")

    @overload
    def __init__(self, duration_or_time: float | timedelta | datetime, /, then: str, **state: Any) -> None: ...

    @overload
    def __init__(
        self,
        duration_or_time: float | timedelta | datetime,
        /,
        then: Callable[Concatenate[Any, P], Any],
        *positional: P.args,
        **state: P.kwargs,
    ) -> None: ...

    def __init__(
        self, duration_or_time: float | timedelta | datetime, /, then: StepRef, *positional: Any, **state: Any
    ) -> None:
        super().__init__(then, state, positional=positional)
        self.seconds: float | None = None
        self.until: datetime | None = None
        if isinstance(duration_or_time, datetime):
            if duration_or_time.tzinfo is None:
                raise InvalidInput(
                    "Sleep takes an aware datetime: a naive one means a different time on each machine", field="until"
                )
            if duration_or_time.year >= _LATEST_YEAR:
                raise InvalidInput(f"Sleep takes a time before the year {_LATEST_YEAR}", field="until")
            self.until = duration_or_time
        else:
            self.seconds = seconds_of(duration_or_time, "duration")


@dataclass(frozen=True, slots=True)
class Child:
    """A task to spawn: `weight` is its part of what the parent shares out; `budget` asks for less.

    `queue` and `priority` are the parent's unless given, or unless the agent has a queue of its own. `a2a` names a
    remote agent in place of one of ours, by its URL or as an A2AAgent; `input` is then the message to it: text, data,
    or `{"parts": […]}` as A2A has it. Raises InvalidInput for values that mean nothing.
    """

    agent: Any = None
    input: Any = field(default_factory=dict[str, Any])
    weight: float = 1.0
    budget: Budget | None = None
    queue: str | None = None
    priority: int | None = None
    metadata: Mapping[str, Any] | None = None
    a2a: str | A2AAgent | None = None

    def __post_init__(self) -> None:
        if self.a2a is not None:
            self._send_away()
        given: Any = self.weight
        if type(given) not in (int, float) or not 0 < given <= LARGEST_AMOUNT:
            raise refused("Child(weight=) must be a number above zero", given, "weight")
        if not isinstance(self.agent if isinstance(self.agent, str) else getattr(self.agent, "name", None), str):
            raise refused("Child takes an agent, or the name of one", self.agent, "agent")
        for name, kind in (("budget", Budget), ("metadata", Mapping)):
            if not isinstance(getattr(self, name), kind | None):
                raise refused(f"Child({name}=) must be a {kind.__name__}", getattr(self, name), name)
        check_queue(self.queue)
        if self.priority is not None:
            check_priority(self.priority)

    def _send_away(self) -> None:
        """Make it a task of the agent that has a remote one do something."""
        if self.agent is not None:
            raise InvalidInput("Child takes an agent, or a2a=, and not both", field="a2a")
        to = A2AAgent.of(self.a2a)
        object.__setattr__(self, "agent", own_agent("a2a-remote"))
        object.__setattr__(self, "input", {"to": to.named, "message": message_of(self.input)})
        object.__setattr__(self, "a2a", None)

    @property
    def agent_name(self) -> str:
        """The name of the agent, whether `agent` is one or its name."""
        return self.agent if isinstance(self.agent, str) else self.agent.name


class FanOut(_Then):
    """Spawn children in this step's commit, and run `then` when all of them have ended.

    `reserve` is what the parent keeps for itself: seconds (0: nothing; default: a twentieth of its time), or a
    Budget. When only that much of its time is left, children still running are told to stop. `on_child_failure`:
    "collect" hands all outcomes to `then`, "fail" ends this task at the first failure and cancels the rest. `split`:
    "equal" by weight, or "adaptive": by weight and each agent's usual usage. Raises InvalidInput for arguments that
    mean nothing.
    """

    __slots__ = ("children", "keeps_nothing", "on_child_failure", "only_watches", "reserve", "split")

    @overload
    def __init__(
        self,
        children: Sequence[Child],
        /,
        then: "str | _TakesChildren",
        reserve: float | Budget | None = None,
        on_child_failure: Literal["collect", "fail"] = "collect",
        split: Literal["equal", "adaptive"] = "equal",
        **state: Any,
    ) -> None: ...

    @overload
    def __init__(
        self,
        children: Sequence[Child],
        /,
        then: Callable[Concatenate[Any, P], Any],
        reserve: float | Budget | None = None,
        on_child_failure: Literal["collect", "fail"] = "collect",
        split: Literal["equal", "adaptive"] = "equal",
        *positional: P.args,
        **state: P.kwargs,
    ) -> None: ...

    def __init__(
        self,
        children: Sequence[Child],
        /,
        then: Any,
        reserve: float | Budget | None = None,
        on_child_failure: Literal["collect", "fail"] = "collect",
        split: Literal["equal", "adaptive"] = "equal",
        *positional: Any,
        **state: Any,
    ) -> None:
        super().__init__(then, state, positional=positional)
        given: Any = children
        self.children: list[Child] = list(given) if isinstance(given, Iterable) else [given]
        if isinstance(given, Child | str | bytes) or not all(
            isinstance(child, Child) for child in cast(list[Any], self.children)
        ):
            raise refused("FanOut takes a list of Child(agent, input)", given, "children")
        amount: Any = reserve
        if not isinstance(amount, Budget | None) and not (
            type(amount) in (int, float) and 0 <= amount <= LARGEST_AMOUNT
        ):
            raise refused("FanOut(reserve=) must be seconds or a Budget", amount, "reserve")
        self.keeps_nothing = type(reserve) in (int, float) and reserve == 0
        self.reserve = (
            reserve if isinstance(reserve, Budget) else Budget(seconds=None if self.keeps_nothing else reserve)
        )
        if on_child_failure not in ("collect", "fail"):
            raise refused("on_child_failure must be 'collect' or 'fail'", on_child_failure, "on_child_failure")
        if split not in ("equal", "adaptive"):
            raise refused("split must be 'equal' or 'adaptive'", split, "split")
        self.on_child_failure = on_child_failure
        self.split = split
        self.only_watches = False
        """Whether the children are the system's own, wait only, and have nothing of the budget but its time."""


@dataclass(frozen=True, slots=True)
class Done:
    """End the task as completed. Returning the bare value means the same."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class Partial:
    """End the task as partial: `result` is what there is, `reason` why it is not all."""

    result: Any
    reason: str = "the agent ended early"

    def __post_init__(self) -> None:
        given: Any = self.reason
        if not isinstance(given, str):
            raise refused("Partial(reason=) must be text", given, "reason")


def step_name(step: StepRef) -> str:
    return step if isinstance(step, str) else name_of(step)


def all_names(names: Sequence[Any]) -> bool:
    return all(isinstance(name, str) and 0 < len(name) <= LONGEST_SIGNAL and is_storable(name) for name in names)


def _check_step(step: Any, field: str) -> None:
    if not (step if isinstance(step, str) else callable(step)):
        raise refused(f"{field} must be a step, or the name of one", step, field)

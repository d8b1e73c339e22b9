"""The durable side of a context: what a worker does in Postgres for the step that it runs."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, LiteralString, Protocol
from uuid import UUID

from agent_tasks.authoring.calls.branches import Branch, Branches
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.calls.turns import Turns
from agent_tasks.authoring.directives import FanOut, Sleep, Wait
from agent_tasks.authoring.durations import seconds_of
from agent_tasks.authoring.handed import ChildOutcome
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.authoring.kept import Kept
from agent_tasks.authoring.retry import Retry
from agent_tasks.errors import ContextLost, InvalidInput
from agent_tasks.task.arguments import refused
from agent_tasks.task.budget import RESOURCES, Budget
from agent_tasks.task.usage import Usage

_LONGEST_KEY = 256
HERE = "here"
"""The next step of a wait within a step, which is that step itself."""
_RESERVABLE = ("tokens", "usd")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Options of a call that are not its function's arguments. Raises InvalidInput for values that mean nothing."""

    key: str | None = None
    name: str | None = None
    retry: Retry | None = None
    check: Callable[[Any], object] | None = None
    at_most_once: bool = False
    timeout: float | timedelta | None = None
    reserve: Budget | None = None
    resumes: bool = False
    """Whether the function, when it runs again, leaves out calls that it made: it has a record of its own of them."""

    def __post_init__(self) -> None:
        for option in ("key", "name"):
            value: Any = getattr(self, option)
            if value is not None and not (isinstance(value, str) and 0 < len(value) <= _LONGEST_KEY and _plain(value)):
                raise refused(f"using({option}=) takes printable text of 1 to {_LONGEST_KEY} characters", value, option)
        retry, check, once = (getattr(self, option) for option in ("retry", "check", "at_most_once"))
        if retry is not None and not isinstance(retry, Retry):
            raise refused("using(retry=) takes a Retry", retry, "retry")
        if check is not None and not callable(check):
            raise refused("using(check=) takes a function that checks the outcome", check, "check")
        if type(once) is not bool:
            raise refused("at_most_once must be True or False", once, "at_most_once")
        if self.timeout is not None and self.seconds == 0:
            raise InvalidInput("using(timeout=) must be above zero: seconds, or a timedelta", field="timeout")
        if self.reserve is not None:
            _check_reserve(self.reserve)
        if once and retry is not None and retry.attempts > 1:
            raise InvalidInput("A call with at_most_once=True cannot be retried: leave out retry", field="retry")

    @property
    def seconds(self) -> float | None:
        """How long the end of a Celery task is waited for at most."""
        return None if self.timeout is None else seconds_of(self.timeout, "timeout")


@dataclass(slots=True, eq=False)
class Call:
    """A call that a step makes."""

    function: Callable[..., Any]
    identity: CallIdentity
    branch: Branch
    """The branch of the code that makes it."""
    options: CallOptions
    tries: int = 0
    """How often it was begun, of the attempts that its `retry` allows."""
    record: Any = field(default=None)
    """The worker's earlier record of it, if it is to be made again."""
    is_message: bool = False
    """Whether what is made is a part of `ctx.task`: the function does not run, a message is sent that asks for it."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A call whose intent is recorded, and that is to be made now."""

    call: Call
    ordinal: int
    key: str
    """The idempotency key for the outside world."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a step has spent, and what it is known by."""

    identity: CallIdentity
    tokens: int
    usd: float
    within: Sequence[int]
    """The ordinals of the calls within which it was spent, from the inside out."""
    model: str | None = None
    """The model that was paid."""
    usage: Usage | None = None
    """What the model used."""


class Given(ABC):
    """A call that was made before: it ends again as it ended then."""

    @abstractmethod
    async def turn(self) -> None:
        """Return when it is its turn, in the order in which the step first saw outcomes.

        A call that the step cancelled waits to be cancelled again. Raises ContextLost if it is not.
        """

    @abstractmethod
    def outcome(self) -> Any:
        """Return what the function returned, or raise what it raised."""

    @property
    @abstractmethod
    def is_cancelled(self) -> bool:
        """Return whether the step had cancelled it, and so was given nothing."""


class Answer(ABC):
    """The value that a call's function returned, in the JSON form that is recorded."""

    @property
    @abstractmethod
    def value(self) -> Any:
        """Return the value that the step is given, now and on each repeat. Raises StepFailed, PayloadTooLarge."""


class Cancellable(Protocol):
    """The part of a step's context that calls need: whether the step is cancelled."""

    @property
    def cancelled(self) -> bool: ...

    def check_cancelled(self) -> None: ...


@dataclass(slots=True, eq=False)
class Awaited:
    """A wait that the step's code is in."""

    call: Call
    """What it is known by, as a call is."""
    directive: Wait | Sleep | FanOut
    turns: dict[str, int]
    """By the name of each signal that it waits for how many waits for it the step had behind it."""
    began: float = field(default_factory=monotonic)
    future: "asyncio.Future[Any] | None" = None
    is_given: bool = False
    """Whether the step's code has what came of it."""
    is_asked: bool = False
    """Whether Postgres was asked for what it waits for."""
    is_cancelled: bool = False
    """Whether the ledger has it as cancelled: it is neither taken nor kept any more."""
    order: int | None = None
    """When the step is given what came of it, by its clock; later outcomes are held back until then."""

    @property
    def has_children(self) -> bool:
        """Whether it waits for children that it spawns."""
        return isinstance(self.directive, FanOut)


class WaitsOfStep(ABC):
    """The waits of a step, as its context and its calls need them."""

    @abstractmethod
    async def wait(self, context: Cancellable, directive: Wait | Sleep | FanOut) -> Any:
        """Return what came of a wait of an async step, now or in a later run."""

    @abstractmethod
    def wait_plainly(self, context: Cancellable, directive: Wait | Sleep | FanOut) -> Any:
        """Return what came of a wait of a plain step, or end its code to park it."""

    @abstractmethod
    def nudge(self) -> None:
        """Look soon whether the step waits only: it has begun a wait, or ended one or a call."""


class Outgoing(ABC):
    """A task of a team's Celery app, with its arguments, that a step is about to send."""

    name: str
    """Its name in Celery."""
    function: Callable[..., Any]
    """The task itself."""

    @abstractmethod
    def signal(self, identity: CallIdentity) -> str:
        """Return the name of the signal that comes when the task that this call sends has ended."""

    @abstractmethod
    def send(self, identity: CallIdentity) -> str:
        """Send it, and return its id, which is always the same for the same call."""

    @abstractmethod
    def read(self, payload: Any) -> Any:
        """Return what the task returned, from the payload of its signal. Raises StepFailed."""


@dataclass(frozen=True, slots=True)
class Premises:
    """The Postgres of the deployment, for a library that keeps tables of its own in it, as the step's."""

    url: str
    fence: LiteralString
    """The statement with which a transaction of such writes begins: it finds nothing where the step is another's."""
    values: dict[str, Any]
    """The parameters of `fence`."""
    broken: Callable[[Exception | None], Exception]
    """Returns what to raise where the fence found nothing (None), or for an error of Postgres."""


class Operations(ABC):
    """The durable operations of a context; a worker's run implements them on Postgres, blocking."""

    branches: Branches
    turns: Turns
    task_id: UUID

    @property
    @abstractmethod
    def waits(self) -> WaitsOfStep: ...

    @property
    def premises(self) -> Premises:
        raise InvalidInput("A fake context has no Postgres: test a step with a graph by the fixture agent_tasks")

    @abstractmethod
    def find(self, call: Call) -> Given | None:
        """Return the earlier result of this call for a repeated step; None if it is to be made. Raises ContextLost."""

    @abstractmethod
    def begin_call(self, call: Call) -> Intent: ...

    def doing(
        self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[..., Any]:
        """Return the function that is run for a call: its own, for which a test may put another."""
        return function

    @abstractmethod
    def answer(self, call: Call, value: Any) -> Answer: ...

    @abstractmethod
    def end_call(self, intent: Intent, answer: Answer, order: int) -> Any:
        """Record the outcome; return what the step is given, at `order` by its clock."""

    @abstractmethod
    def fail_call(self, intent: Intent, error: BaseException, order: int, *, tried: bool) -> None:
        """Record that the function raised; `tried`: the call is made again, and the step does not see this failure."""

    @abstractmethod
    def cancel_call(self, intent: Intent) -> None:
        """Record that the step's own code cancelled the call and saw that, whatever came later."""

    @abstractmethod
    def find_charge(self, identity: CallIdentity) -> Given | None:
        """Return the earlier result of this charge for a repeated step; None if it is to be counted."""

    @abstractmethod
    def charge(self, charge: Charge, order: int) -> None: ...

    @abstractmethod
    def cancel_charge(self, identity: CallIdentity) -> None:
        """Record that the step's own code had cancelled the charge by the time it was counted."""

    @abstractmethod
    def note(self, call: Call, value: Any, order: int) -> tuple[Any, Intent]:
        """Record a value that varies from run to run, and that the step is given at `order` by its clock."""

    @abstractmethod
    def note_failure(self, call: Call, error: BaseException, order: int) -> Intent:
        """Record an error that the step is given at `order` by its clock, and that no call of the budget has raised."""

    @abstractmethod
    def has_come(self, name: str) -> bool:
        """Whether a signal of this name is in the inbox of the task."""

    @abstractmethod
    def break_off(self, problem: str) -> ContextLost:
        """Return the error of a step that cannot go on, which all that follows says again."""

    @abstractmethod
    def outgoing(self, celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outgoing:
        """Return a task of a team's app to be sent. Raises InvalidInput for what cannot be."""

    @abstractmethod
    def inherits(self, identity: CallIdentity) -> bool:
        """Whether this call is over in what a task before this one recorded."""

    @abstractmethod
    def is_over(self, identity: CallIdentity) -> bool:
        """Whether this call, or wait, is over in what was recorded by any run."""

    def has_ended(self) -> bool:
        """Whether the task's end is decided, so that nothing of the step is recorded any more. Blocks."""
        return False

    @abstractmethod
    def ended_a_try(self, call: Call) -> bool:
        """Whether a call that is not given back was made before, and its failure ended that try of the step."""

    @abstractmethod
    def check_wait(self, directive: Wait | Sleep | FanOut) -> None:
        """Raise InvalidInput where the step may not wait for this."""

    @abstractmethod
    def wait_id(self, name: str, turn: int) -> str:
        """Return the id of the step's wait for this signal after `turn` others."""

    @abstractmethod
    def begin_wait(self, awaited: Awaited) -> None:
        """Note that a wait begins, which is in no record yet, or whose record says that it was begun before."""

    @abstractmethod
    def spawn(self, awaited: Awaited, order: int) -> Exception | None:
        """Spawn the children of a fan-out, unless an earlier run has; return what refuses that, if anything does.

        The refusal is recorded, and the step is given it at `order` by its clock.
        """

    @abstractmethod
    def joined(self, awaited: Awaited) -> list[ChildOutcome]:
        """Return the outcomes of the children of a fan-out that is over."""

    @abstractmethod
    def take_waits(self, waits: Sequence[Awaited], orders: Sequence[int]) -> list[tuple[Awaited, Any, int]]:
        """Record which of the waits are over; return what came of each, and which of `orders` is its own.

        `orders`: as many ascending times by the step's clock.
        """

    @abstractmethod
    def keep_waits(self, waits: Sequence[Awaited]) -> None:
        """Record that these waits have begun, and when they time out."""

    @abstractmethod
    def cancel_wait(self, awaited: Awaited) -> None:
        """Record that the step's own code cancelled the wait; what it had taken is there again."""

    @abstractmethod
    def progress(self, done: float, total: float | None, message: str | None) -> None: ...

    @abstractmethod
    def emit(self, name: str, data: Any) -> None: ...

    @abstractmethod
    def partial(self, value: Any, remaining: Sequence[Any] | None = None) -> None: ...

    @abstractmethod
    def hook(self, asked: HookOptions) -> str:
        """Return the URL of a hook, the same on each repeat of the step."""

    @abstractmethod
    def kept(self) -> Kept | None:
        """Return what the task that this one was resumed from had kept."""


def _check_reserve(reserve: Any) -> None:
    if not isinstance(reserve, Budget):
        raise refused("using(reserve=) takes a Budget", reserve, "reserve")
    named = [name for name in RESOURCES if getattr(reserve, name) is not None]
    if not named or not {*named} <= {*_RESERVABLE}:
        raise InvalidInput(
            f"using(reserve=) takes a Budget of {' and '.join(_RESERVABLE)}, which are what a call may cost; this one "
            f"is of {', '.join(named) or 'nothing'}",
            field="reserve",
        )


def _plain(text: str) -> bool:
    return text.isprintable()  # no control characters, no surrogates

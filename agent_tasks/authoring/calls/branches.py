"""The branches of a step: sequential pieces of its code, told apart so that a repeat finds its own calls."""

import asyncio
import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, Token, copy_context
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from agent_tasks.authoring.calls.blocking import STEP_LOOP
from agent_tasks.authoring.calls.call_identity import CallIdentity, digest_of, name_of, part_of
from agent_tasks.errors import AmbiguousCall, TaskCancelled

_current: ContextVar["Branch | None"] = ContextVar("agent_tasks_branch", default=None)
LOOSE = "*"
"""The part of a path below which nothing is ordered."""
_FRAMES = 9
"""The frames from the creation of a task back to asyncio.as_completed, which creates it through several functions."""


class Making:
    """A call in progress, from before its intent is written until after its outcome is."""

    __slots__ = ("has_calls", "is_tried", "key", "number", "ordinal", "outer")

    def __init__(self, number: int, outer: "Making | None", is_tried: bool) -> None:
        self.key = ""
        """The idempotency key for the outside world."""
        self.ordinal = -1
        """Its place in the order in which the step's calls were begun."""
        self.number = number
        """The call's time by the step's clock: a new number each time that the call is made."""
        self.outer = outer
        self.is_tried = is_tried or (outer is not None and outer.is_tried)
        """Whether the call, or one around it, may be tried again in this run."""
        self.has_calls = False
        """Whether the call's function has made recorded calls of its own."""


class Branch:
    """The code of the step itself, of a task it creates, of a function it hands to a thread, or of a call's function.

    `path` names it below the step: each part is the kind of branch, and how many of that kind the same code began
    before it. Code that nothing orders (callbacks, threads that the user starts) is one loose branch.
    """

    __slots__ = ("_born", "_equals", "births", "is_loose", "making", "owner", "path", "resumes", "returned", "run")

    def __init__(
        self,
        run: "Branches",
        path: str,
        births: tuple[int, ...],
        making: Making | None,
        is_loose: bool = False,
        resumes: bool = False,
    ) -> None:
        self.run = run
        self.path = path
        self.births = births
        """The times by the step's clock when this branch and each one above it began."""
        self.making = making
        """The nearest call around it."""
        self.is_loose = is_loose
        self.resumes = resumes
        """Whether its code, when it runs again, leaves out calls that it made, as its own record of them allows."""
        self.owner: Any = None
        """The task that runs it, or the number of the thread."""
        self.returned: bool | None = False
        """Whether its code ran to its end; None: the owning task tells."""
        self._born: dict[str, int] = {}
        self._equals: dict[tuple[str, str], int] = {}

    def child(self, kind: str) -> "Branch":
        """Begin the branch of a task or thread that this branch's code starts."""
        with self.run.lock:
            number = self._born.get(kind, 0)
            self._born[kind] = number + 1
        return self._bear(f"{self.path}/{part_of(kind)}:{number}")

    def of_call(self, identity: CallIdentity, making: Making, *, resumes: bool = False) -> "Branch":
        """Begin the branch of a call's function; the function's own calls are numbered below it."""
        above = () if identity.key is not None else self.births
        births = (*above, next(self.run.clock))
        return self.run.keep(Branch(self.run, identity.path, births, making, resumes=resumes or self.resumes))

    def _bear(self, path: str, *, is_loose: bool = False) -> "Branch":
        births = (*self.births, next(self.run.clock))
        return self.run.keep(Branch(self.run, path, births, self.making, is_loose, self.resumes))

    def loose_part(self) -> "Branch":
        if self.is_loose:
            return self
        with self.run.lock:
            path = f"{self.path}/{LOOSE}"
            return self.run.find(path) or self._bear(path, is_loose=True)

    def place(self, name: str, digest: str) -> int:
        """Return the next place among equal calls."""
        with self.run.lock:
            place = self._equals.get((name, digest), 0)
            self._equals[name, digest] = place + 1
        return place

    @property
    def is_cancelled(self) -> bool:
        """Whether the task that runs it ended by being cancelled."""
        return isinstance(self.owner, asyncio.Task) and self.owner.cancelled()

    @property
    def has_returned(self) -> bool:
        """Whether its code ran to its end, and neither raised nor was cancelled."""
        if self.returned is None:
            return self.owner.done() and not self.owner.cancelled() and self.owner.exception() is None
        return self.returned


class Branches:
    """The branches of one run of a step. `repeats`: it may have run before, and its end is compared with that."""

    def __init__(self, *, repeats: bool = False) -> None:
        self.lock = threading.RLock()
        self.clock = itertools.count(1)
        self.repeats = repeats
        self.root = Branch(self, "", (), None)
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.at: WeakKeyDictionary[asyncio.Task[Any], Branch] = WeakKeyDictionary()
        """The branch that each task is in, whatever context variables it has been given."""
        self._known: dict[str, Branch] = {"": self.root}
        self._keys: dict[str, Branch] = {}
        self._made: set[Making] = set()
        self._is_closed = False
        self._when_idle: Callable[[], None] | None = None
        self.refused: AmbiguousCall | None = None
        """The error of a call that was refused, whether or not the step heeds it."""

    def enter(self) -> Token["Branch | None"]:
        """Enter the step's own code, in this task or thread, until `leave` is called."""
        self.root.owner = me = _me()
        if isinstance(me, asyncio.Task):
            self.tasks.add(me)
            self.at[me] = self.root
        return _current.set(self.root)

    def left(self, task: asyncio.Task[Any]) -> None:
        """Let go of a task that has ended, and of its result: its branch, which names it, would hold both."""
        self.at.pop(task, None)

    def leave(self, token: Token["Branch | None"]) -> None:
        _current.reset(token)

    @contextmanager
    def making(self, within: Branch, *, is_tried: bool) -> Generator[Making]:
        """Track a call that this branch's code makes. Raises TaskCancelled if the step has already ended."""
        outer = within.making
        made = Making(next(self.clock), outer, is_tried)
        with self.lock:
            if self._is_closed and outer not in self._made:
                raise TaskCancelled("The step has ended: it can begin no more calls")
            self._made.add(made)
        try:
            yield made
        finally:
            with self.lock:
                self._made.discard(made)
                idle = self._when_idle if not self._made else None
            if idle is not None:
                idle()

    def is_busy(self, making: Making) -> bool:
        """Whether calls that the function of this call has begun are still in progress."""
        with self.lock:
            return any(making in around(made) for made in self._made)

    @property
    def is_making(self) -> bool:
        """Whether any call is in progress."""
        with self.lock:
            return bool(self._made)

    def close(self, when_idle: Callable[[], None]) -> bool:
        """End the step: it may begin no more calls. Returns whether all those that it has begun have ended.

        If not, `when_idle` is called once they have.
        """
        with self.lock:
            self._is_closed = True
            self._when_idle = when_idle if self._made else None
            return not self._made

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def here(self) -> Branch:
        """Return the branch of the calling code."""
        branch, me = _current.get(), _me()
        if branch is None or branch.run is not self or branch.owner != me:
            own = self.at.get(me) if isinstance(me, asyncio.Task) else None
            branch = own or (self.root if branch is None or branch.run is not self else branch).loose_part()
        if branch.is_loose and isinstance(me, asyncio.Task):
            self.tasks.add(me)
        return branch

    def identify(self, name: str, digest: str, key: str | None) -> tuple[Branch, CallIdentity]:
        """Return the branch and identity of a call that begins now. Raises AmbiguousCall."""
        branch = self.here()
        if branch.making is not None:
            branch.making.has_calls = True
        if key is not None:
            with self.lock:
                if key in self._keys:
                    raise self._refuse(f"The key {key!r} of call {name} was given to another call of this step", name)
                self._keys[key] = branch
            return branch, CallIdentity(branch.path, name, digest, 0, key)
        place = branch.place(name, digest)
        if branch.is_loose and place:
            raise self._refuse(
                f"Call {name} is made twice with equal arguments by code in no fixed order (a thread, a callback): a "
                "repeat could not tell the two apart. Give each a key: ctx.using(key=…).call(…).",
                name,
            )
        return branch, CallIdentity(branch.path, name, digest, place)

    def _refuse(self, problem: str, name: str) -> AmbiguousCall:
        self.refused = AmbiguousCall(problem, call=name)
        return self.refused

    def identify_charge(self, digest: str) -> CallIdentity:
        """Return the identity of a charge.

        A charge within a call's function counts each time that the call is made, since each time costs; but if the
        function has made calls of its own, which the ledger answers, its charges count once, as in the step.
        """
        branch = self.here()
        making = branch.making
        name = "charge" if making is None or making.has_calls else f"charge {making.number}"
        return CallIdentity(branch.path, name, digest, branch.place(name, digest))

    @contextmanager
    def holding(self, me: Any, branch: Branch) -> Generator[None]:
        """Note that a task is in this branch, for code that replaces its context variables by those of another task."""
        before = self.at.get(me) if isinstance(me, asyncio.Task) else None
        if before is not None:
            self.at[me] = branch
        try:
            yield
        finally:
            if before is not None:
                self.at[me] = before

    def forget_keys(self, within: Branch) -> None:
        """Free the keys that a call's function has used, since the function runs again."""
        below = f"{within.path}/"
        with self.lock:
            for key in [k for k, at in self._keys.items() if f"{at.path}/".startswith(below)]:
                del self._keys[key]

    def keep(self, branch: Branch) -> Branch:
        if self.repeats or branch.is_loose:
            self._known[branch.path] = branch
        return branch

    def find(self, path: str) -> Branch | None:
        return self._known.get(path)


@contextmanager
def inside(branch: Branch) -> Generator[None]:
    """Run the code within the `with` as this branch's."""
    token: Token[Branch | None] = _current.set(branch)
    try:
        yield
    finally:
        with suppress(ValueError):  # a coroutine that was left behind may be closed in another context
            _current.reset(token)


def around(making: Making) -> Iterator[Making]:
    """Yield this call, then the calls within whose functions it is made, from the inside out."""
    while making.outer is not None:
        making = making.outer
        yield making


def calls_around(branch: Branch) -> list[int]:
    """Return the ordinals of the calls within whose functions this branch's code runs, from the inside out."""
    making = branch.making
    return [] if making is None else [making.ordinal, *(outer.ordinal for outer in around(making))]


def call_around() -> Making | None:
    """Return the call within whose function this code runs, if any."""
    branch = _current.get()
    return branch.making if branch is not None else None


def run_owned(branch: Branch, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Run `function` as the code of this branch, in the calling thread."""
    branch.owner = threading.get_ident()
    with inside(branch):
        value = function(*args, **kwargs)
    branch.returned = True
    return value


async def await_owned(branch: Branch, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Await what `function` returns as the code of this branch, in the calling task."""
    branch.owner = me = _me()
    with inside(branch), branch.run.holding(me, branch):
        value = await function(*args, **kwargs)
    branch.returned = True
    return value


def follow(loop: asyncio.AbstractEventLoop) -> None:
    """Number the tasks and threads that a step's code begins on this loop, as it begins them.

    Numbers given at the first call would follow the order of time, which a repeat does not keep.
    """
    begin = loop.run_in_executor
    ours = getattr(loop, STEP_LOOP, None)

    def run_in_executor(executor: Any, function: Callable[..., Any], *args: Any) -> Any:
        parent = _current.get() if executor is None or executor is not ours else None
        if parent is None or parent.owner != _me() or parent.is_loose:
            return begin(executor, function, *args)
        branch = parent.child(f"thread {name_of(_called(function))}")
        return begin(executor, functools.partial(_in_thread, branch, function), *args)

    loop.set_task_factory(_create_task)
    loop.run_in_executor = run_in_executor  # type: ignore[method-assign, assignment]


def _create_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None, **options: Any
) -> Any:
    parent = _current.get() if context is None else context.get(_current)
    if parent is None:
        return asyncio.Task(coroutine, loop=loop, context=context, **options)
    me = _me()
    if parent.owner != me and (own := parent.run.at.get(me) if isinstance(me, asyncio.Task) else None):
        parent = own
    is_ordered = parent.owner == me and not parent.is_loose
    branch = parent.child(_kind_of(coroutine)) if is_ordered else parent.loose_part()
    context = copy_context() if context is None else context
    context.run(_current.set, branch)
    task = asyncio.Task(coroutine, loop=loop, context=context, **options)
    if not branch.is_loose:
        branch.owner, branch.returned = task, None
        parent.run.at[task] = branch
        task.add_done_callback(parent.run.left)
    parent.run.tasks.add(task)
    return task


def _kind_of(coroutine: Any) -> str:
    """Return the name by which a task is numbered: its coroutine's, with a digest of the arguments where order varies.

    asyncio.as_completed makes its tasks in the order of a set of coroutines, which differs from process to process.
    """
    name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    arguments = getattr(coroutine, "cr_frame", None)
    if arguments is None or not _is_begun_by_as_completed():
        return name
    given = inspect.getargvalues(arguments)
    names = [*given.args, given.varargs, given.keywords]
    return f"{name}~{digest_of([given.locals[one] for one in names if one is not None], {})[:12]}"


def _is_begun_by_as_completed() -> bool:
    frame = inspect.currentframe()
    for _ in range(_FRAMES):
        if frame is None or frame.f_code is asyncio.as_completed.__code__:
            return frame is not None
        frame = frame.f_back
    return False


def _in_thread(branch: Branch, function: Callable[..., Any], *args: Any) -> Any:
    context = _context_of(function)
    if context is None:
        return run_owned(branch, function, *args)
    branch.owner = threading.get_ident()  # asyncio.to_thread has copied a context for it, in which it is found
    context.run(_current.set, branch)
    value = function(*args)
    branch.returned = True
    return value


def _context_of(function: Any) -> Context | None:
    holder = getattr(getattr(function, "func", None), "__self__", None)
    return holder if isinstance(holder, Context) else None


def _called(function: Any) -> Any:
    """Return the function that asyncio.to_thread was given, if `function` is its wrapper."""
    return function.args[0] if _context_of(function) is not None and function.args else function


def _me() -> Any:
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:  # no loop runs in this thread
        return threading.get_ident()

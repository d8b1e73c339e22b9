"""The waits of a straight-line step: each is recorded as a call is, and parks the step when it does nothing else."""

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, NoReturn

from agent_tasks.authoring.calls.branches import Branches
from agent_tasks.authoring.calls.call_identity import digest_of, fan_out_known_by, wait_known_by
from agent_tasks.authoring.calls.idleness import Idleness, fail
from agent_tasks.authoring.calls.operations import Awaited, Call, CallOptions, Cancellable, Operations, WaitsOfStep
from agent_tasks.authoring.calls.parked import StepParked, swallowed
from agent_tasks.authoring.calls.writes import durably, in_thread, settled
from agent_tasks.authoring.directives import FanOut, Sleep, Wait
from agent_tasks.authoring.handed import Signal
from agent_tasks.errors import InvalidInput, TaskCancelled

log = logging.getLogger(__name__)
_OPTIONS = CallOptions()
_PASSES = 4
"""Passes of the event loop in which all stays idle, until the step is."""
_FIRST_GLANCE, _LONGEST_GLANCE = 0.001, 0.25
_PATIENCE_SECONDS = 30.0
"""How long a step may do something else than calls beside its waits, before that is told."""
_LOOK_SECONDS = 1.0
"""How often Postgres is asked for what a step waits for that does something else meanwhile."""


class Waits(WaitsOfStep):
    """The waits of one run of a step.

    An async step is parked when all of its tasks wait (`Idleness`), a plain one as soon as it waits. Before that,
    Postgres is asked whether what is waited for is there. What else the step does goes on; then it is asked from time
    to time.
    """

    def __init__(self, operations: Operations, step: str) -> None:
        self._operations = operations
        self._step = step
        self._open: dict[Awaited, None] = {}
        self._behind: Counter[str] = Counter()
        self._thrown: list[StepParked] = []
        self._is_looking = False
        self._looked_at = 0.0
        self._passes = 0
        self._glance = _FIRST_GLANCE
        self._held_since: float | None = None
        self._is_told = False
        self._handle: asyncio.Handle | None = None
        self._look_task: asyncio.Task[None] | None = None

    @property
    def is_parking(self) -> bool:
        """Whether the step's code was told to end, since it is to be parked."""
        return bool(self._thrown)

    @property
    def open(self) -> list[Awaited]:
        """The waits for which the step is parked, in the order in which they were begun."""
        return sorted(self._open, key=lambda awaited: awaited.call.record.ordinal)

    def turn(self, name: str) -> int:
        """How many waits for this signal the step has behind it."""
        return self._behind[name]

    def ids(self, names: Sequence[str]) -> dict[str, str]:
        """The ids of a wait for these signals that begins now: one for each of them, by what it has behind it."""
        return {name: self._operations.wait_id(name, self._behind[name]) for name in names}

    def check(self) -> None:
        """Raise InvalidInput where the step is parked, and its code has not ended."""
        if self._thrown:
            raise self.swallowed()

    def swallowed(self) -> InvalidInput:
        return swallowed(self._step, self._thrown)

    # --- async steps ----------------------------------------------------------------------------------------

    async def wait(self, context: Cancellable, directive: Wait | Sleep | FanOut) -> Any:
        """Return what came of a wait of an async step, now or in a later run."""
        awaited = self._begin(context, directive)
        given = self._operations.find(awaited.call)
        try:
            if given is not None:
                await given.turn()
                outcome = given.outcome()
                return await durably(self._operations.joined, awaited) if awaited.has_children else outcome
            return await self._outcome(awaited)
        except asyncio.CancelledError:
            is_over = context.cancelled or self._thrown or self._outlasts(awaited)
            if not (is_over or (given is not None and given.is_cancelled)):
                self._open.pop(awaited, None)
                await settled(self._operations.cancel_wait, awaited)
            raise
        finally:
            if awaited.order is not None:
                self._operations.turns.release(awaited.order)
            if not self._thrown:
                self._end(awaited)
                self.nudge()

    async def _outcome(self, awaited: Awaited) -> Any:
        if awaited.has_children:
            await self._spawn(awaited)
        else:
            self._operations.begin_wait(awaited)
        awaited.future = asyncio.get_running_loop().create_future()
        self._open[awaited] = None
        self.nudge()
        outcome = await awaited.future
        assert awaited.order is not None
        await self._operations.turns.first(awaited.order)
        awaited.is_given = True
        return outcome

    async def _spawn(self, awaited: Awaited) -> None:
        order = next(self._operations.branches.clock)
        with self._operations.turns.writing(order):
            refused, cancelled = await settled(self._operations.spawn, awaited, order)
            if refused is not None:
                await self._operations.turns.first(order)
                raise refused
        if cancelled is not None:
            raise cancelled

    def _outlasts(self, awaited: Awaited) -> bool:
        """Whether children live on although the step ended: a try that raised, and whose next one goes on with them."""
        branches = self._operations.branches
        return awaited.has_children and branches.is_closed and not branches.root.returned

    def nudge(self) -> None:
        """Look soon whether the step waits only: it has begun a wait, or ended one or a call."""
        if self._open:
            self._glance, self._passes = _FIRST_GLANCE, 0
            self._soon()

    def _soon(self, seconds: float = 0.0) -> None:
        if self._handle is not None:
            self._handle.cancel()
        loop, blank = asyncio.get_running_loop(), contextvars.Context()  # what is begun there is none of the step's
        if seconds:
            self._handle = loop.call_later(seconds, self._look, context=blank)
        else:
            self._handle = loop.call_soon(self._look, context=blank)

    def _look(self) -> None:
        self._handle = None
        if not self._open or self._is_looking or self._thrown:
            return
        is_idle = self._is_idle()
        self._passes = self._passes + 1 if is_idle else 0
        is_due = monotonic() - self._looked_at > _LOOK_SECONDS
        if is_idle and self._passes < _PASSES:
            self._soon()
        elif is_idle or is_due or not all(awaited.is_asked for awaited in self._open):
            self._is_looking = True
            self._look_task = asyncio.get_running_loop().create_task(self._ask(is_idle, is_due))
        else:
            self._later()

    def _later(self) -> None:
        self._heed_what_holds_it_up()
        self._glance = min(2 * self._glance, _LONGEST_GLANCE)
        self._soon(self._glance)

    def _heed_what_holds_it_up(self) -> None:
        """Say once that the step keeps its worker, though it makes no call and waits: for what, nobody else can see."""
        if self._operations.branches.is_making:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = monotonic()
        elif not self._is_told and monotonic() - self._held_since > _PATIENCE_SECONDS:
            self._is_told = True
            log.warning(
                "step waits, and cannot be parked: it keeps its worker, and its budget of seconds is spent: "
                "task=%s step=%s held_up_at=%s",
                self._operations.task_id,
                self._step,
                ", ".join(self._idleness().places()) or "asyncio.timeout",
            )

    async def _ask(self, is_idle: bool, is_due: bool) -> None:
        """Ask Postgres for what the step waits for, and give it all that is there, or park it."""
        asked, clock, turns = self.open, self._operations.branches.clock, self._operations.turns
        orders = [next(clock) for _ in asked]
        turns.hold(orders)
        for awaited in asked:
            awaited.is_asked = True
        try:
            taken = await in_thread(self._operations.take_waits, asked, orders)
            if not taken and is_due and not is_idle:
                await in_thread(self._operations.keep_waits, asked)
        except BaseException as error:
            self._release(orders)
            for awaited in asked:
                if awaited.future is not None:
                    fail(awaited.future, error)
            return
        finally:
            self._is_looking, self._looked_at = False, monotonic()
        given = [(awaited, outcome, order) for awaited, outcome, order in taken if self._is_awaited(awaited)]
        self._release(set(orders).difference(order for *_, order in given))
        for awaited, outcome, order in given:
            assert awaited.future is not None
            self._open.pop(awaited)
            awaited.order = order
            awaited.future.set_result(outcome)
        if taken:
            self.nudge()
        elif is_idle and asked == self.open and self._is_idle():
            self._park()
        else:
            self._later()

    def _release(self, orders: Iterable[int]) -> None:
        for order in orders:
            self._operations.turns.release(order)

    def _is_awaited(self, awaited: Awaited) -> bool:
        """Whether the step's code is still in a wait; cancelling one gives back what was taken for it."""
        return awaited in self._open and awaited.future is not None and not awaited.future.done()

    def _is_idle(self) -> bool:
        branches = self._operations.branches
        return not branches.is_making and self._idleness().is_complete()

    def _idleness(self) -> Idleness:
        futures = [awaited.future for awaited in self._open if awaited.future is not None]
        return Idleness(self._operations.branches.tasks, futures)

    def _park(self) -> None:
        """Tell the step's code to end, in each of its tasks."""
        idleness = self._idleness()
        for awaited in self.open:
            error = StepParked(f"step {self._step} is parked")
            self._thrown.append(error)
            assert awaited.future is not None
            fail(awaited.future, error)
        idleness.throw(StepParked, f"step {self._step} is parked")

    # --- plain steps ----------------------------------------------------------------------------------------

    def wait_plainly(self, context: Cancellable, directive: Wait | Sleep | FanOut) -> Any:
        """Return what came of a wait of a plain step, or end its code to park it."""
        awaited = self._begin(context, directive)
        given = self._operations.find(awaited.call)
        if given is not None:
            outcome = given.outcome()
            self._end(awaited)
            return self._operations.joined(awaited) if awaited.has_children else outcome
        if not awaited.has_children:
            self._operations.begin_wait(awaited)
        elif (refused := self._operations.spawn(awaited, next(self._operations.branches.clock))) is not None:
            raise refused
        for _, outcome, _ in self._operations.take_waits([awaited], [next(self._operations.branches.clock)]):
            self._end(awaited)
            awaited.is_given = True
            return outcome
        self._open[awaited] = None
        error = StepParked(f"step {self._step} is parked")
        self._thrown.append(error)
        raise error

    # --- both -----------------------------------------------------------------------------------------------

    def _begin(self, context: Cancellable, directive: Wait | Sleep | FanOut) -> Awaited:
        """Return a wait that begins here. Raises InvalidInput where it may not, TaskCancelled in a stopped step."""
        self.check()
        self._check_place(context, self._operations.branches)
        self._operations.check_wait(directive)
        if isinstance(directive, Sleep):
            name, digest, function = "sleep", digest_of((), {}), _slept
        elif isinstance(directive, FanOut):
            (name, digest), function = fan_out_known_by(directive.children), _spawned
        else:
            name, digest = wait_known_by(directive.names, directive.all)
            function = _all_taken if directive.all else _taken
        branch, identity = self._operations.branches.identify(name, digest, None)
        call = Call(function, identity, branch, _OPTIONS)
        names = directive.names if isinstance(directive, Wait) else ()
        return Awaited(call, directive, {name: self._behind[name] for name in names})

    def _check_place(self, context: Cancellable, branches: Branches) -> None:
        if branches.is_closed:
            _refuse("the step has returned", "await it before the step returns.")
        if context.cancelled:
            raise TaskCancelled(f"Step {self._step} was told to stop: it can wait for nothing more")
        here = branches.here()
        if here.making is not None:
            _refuse(
                "it is inside of a recorded call",
                "wait in the step itself, and hand what came to the call, which must come to its end in one go.",
            )
        if here.is_loose or (not isinstance(here.owner, asyncio.Task) and here is not branches.root):
            _refuse(
                "it is in a thread or a callback, which nothing brings back when the step goes on",
                "wait in the step itself, or in a task that it creates.",
            )

    def _end(self, awaited: Awaited) -> None:
        self._open.pop(awaited, None)
        self._behind.update(awaited.turns.keys())


def _refuse(why: str, instead: str) -> NoReturn:
    raise InvalidInput(f"A step cannot wait here: {why}. Instead, {instead}")


# What came of a wait is given back as these would return it.


def _taken() -> Signal[Any] | None: ...


def _all_taken() -> dict[str, Signal[Any]] | None: ...


def _slept() -> None: ...


def _spawned() -> None: ...

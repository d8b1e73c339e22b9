"""The durable operations of a step that runs here, on Postgres."""

import functools
import hashlib
import inspect
import json
import logging
import math
import threading
import typing
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from agent_tasks import payloads
from agent_tasks.budgets import Spend, crossed, overdrawn
from agent_tasks.client import AgentTasks
from agent_tasks.context import Intent, Operations, Outcome, StepContext
from agent_tasks.database_errors import Transient
from agent_tasks.errors import BudgetExhausted, ContextLost, InvalidInput, LeaseLost, StepFailed, text_of
from agent_tasks.events import EventType
from agent_tasks.transitions import ledger, spend
from agent_tasks.transitions.claim import Claim
from workers.groups import Groups

log = logging.getLogger(__name__)
T = TypeVar("T")
SHOW_SECONDS = 0.25
"""Progress is written at most this often; the latest is never lost."""


class DatabaseAway(Exception):
    """Postgres did not answer while a step ran: no fault of the step, it runs again."""


class StepOperations(Operations):
    """Each writes at once, under the run's fence. Raises LeaseLost when the run owns the step no more."""

    def __init__(self, client: AgentTasks, claim: Claim, groups: Groups, changed: Callable[[UUID], None]) -> None:
        """`changed` is told of each write that an observer can see."""
        self._client = client
        self._claim = claim
        self._groups = groups
        self._changed = changed
        self._limit = client.settings.payload_limit
        self._lock = threading.Lock()
        self._ordinal = 0
        self._recorded: dict[int, ledger.RecordedCall] | None = None if claim.repeated else {}
        self._shown_at = 0.0
        self._progress: str | None = None
        self._warned_at = claim.spent
        self.context: StepContext | None = None

    def next_ordinal(self) -> int:
        with self._lock:
            self._ordinal += 1
            return self._ordinal - 1

    def begin_call(self, ordinal: int, function: Callable[..., Any], at_most_once: bool) -> Intent | Outcome:
        name = _name(function)
        old = self._recorded_calls().get(ordinal)
        if old is not None and old.inherited and old.name != name and not (at_most_once or old.at_most_once):
            old = None  # a fork may go another way than the task it was made from
        if old is not None:
            self._check_replay(old, ordinal, name, at_most_once)
            if old.status == "completed":
                return Outcome(_restore(function, old.outcome))
        key = self._key(ordinal)
        begun = _reaching(
            lambda: self._groups.begin_call(ledger.CallBegin(self._claim, ordinal, name, key, at_most_once))
        )
        if begun is None:
            limit = self._claim.budget.calls or 0
            raise BudgetExhausted.of("calls", limit, limit)
        self._note(replace(self._spent(), calls=begun))
        return Intent(ordinal, key)

    def end_call(self, intent: Intent, function: Callable[..., Any], value: Any) -> Any:
        text = payloads.encode_outcome(value, f"outcome of call {_name(function)}", limit=self._limit)
        self._end(intent, "completed", text)
        return _restore(function, payloads.stored(text))

    def fail_call(self, intent: Intent, error: Exception) -> None:
        said = {"type": type(error).__name__, "message": text_of(error).replace("\x00", "")[:2000]}
        text = payloads.encode({k: v.encode("utf-8", "replace").decode() for k, v in said.items()}, "error")
        self._end(intent, "failed", text)

    def _end(self, intent: Intent, status: str, outcome: str) -> None:
        _reaching(lambda: self._groups.end_call(ledger.CallEnd(self._claim, intent.ordinal, status, outcome)))

    def charge(self, tokens: int, usd: float) -> None:
        Spend(tokens=tokens, usd=usd)  # refuses what is no amount
        spent, reserved = self._do(spend.charge, tokens=int(tokens), usd=float(usd))
        self._changed(self._claim.id)
        self._note(spent, reserved)
        used = spent + reserved
        error = overdrawn(self._claim.budget, Spend(tokens=used.tokens, usd=used.usd))
        if error is not None and self._claim.undo_step is None:  # what was done is undone whatever it costs
            raise error

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        _check_progress(done, total, message)
        text = payloads.encode({"done": done, "total": total, "message": message}, "progress", limit=self._limit)
        self._progress = text
        if monotonic() - self._shown_at >= SHOW_SECONDS:
            self.flush_progress()

    def flush_progress(self) -> None:
        """Write the progress that was thinned out; called with the heartbeat."""
        with self._lock:
            text, self._progress = self._progress, None
        if text is not None:
            self._shown_at = monotonic()
            self._report(spend.show_progress, text)

    def take_progress(self) -> str | None:
        """The progress not written yet, for the commit to take along."""
        with self._lock:
            text, self._progress = self._progress, None
            return text

    def emit(self, name: str, data: Any) -> None:
        payloads.encode(name, "name")
        if type(name) is not str or not 0 < len(name) <= 128 or name in set(EventType):
            raise InvalidInput(f"emit needs a name of your own; {name!r} is an event of the system", field="name")
        text = payloads.encode_outcome(data, f"data of event {name}", limit=self._limit)
        self._report(spend.emit, name, text)

    def partial(self, value: Any) -> None:
        text = payloads.encode_outcome(value, "partial result", limit=self._limit)
        self._report(spend.keep_partial, text)

    def warn(self, before: Spend, after: Spend) -> None:
        """Tell in the task's history of each resource that now runs low."""
        for resource in crossed(self._claim.budget, before, after):
            data = {
                "resource": resource,
                "spent": getattr(after, resource),
                "limit": getattr(self._claim.budget, resource),
            }
            self._report(spend.emit, EventType.BUDGET_LOW, json.dumps(data))

    def warn_of_steps(self) -> None:
        """Called as the step begins: the budget of steps runs low with the one before it.

        A FanOut tells of itself, and its children of theirs. A step that is tried again has told before.
        """
        claim, spent = self._claim, self._claim.spent
        if claim.budget.steps is None or not spent.steps:
            return
        if claim.attempt == 1 and (claim.awaits or {}).get("kind") != "children":
            before = replace(spent, steps=spent.steps - 1)
            try:
                self.warn(before, spent)
            except (LeaseLost, DatabaseAway) as error:  # only a warning: the step itself will find out
                log.debug("warning not written: %s", error)

    def warn_of_time(self) -> None:
        """Called with the heartbeat: the budget of seconds runs low while the step runs."""
        if self.context is not None and (now := self.context.spent).seconds > self._warned_at.seconds:
            before, self._warned_at = self._warned_at, now
            self.warn(Spend(seconds=before.seconds), Spend(seconds=now.seconds))

    def _spent(self) -> Spend:
        return self.context.spent if self.context is not None else self._claim.spent

    def _note(self, spent: Spend, reserved: Spend | None = None) -> None:
        before = self._spent()
        if self.context is not None:
            self.context.note_spent(spent, reserved)
        after = self._spent()
        self.warn(replace(before, seconds=0.0), replace(after, seconds=0.0))

    def _do(self, transition: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def run() -> Any:
            with self._client.database.connection() as connection:
                return transition(connection, self._claim, *args, **kwargs)

        return _reaching(run)

    def _report(self, transition: Callable[..., Any], *args: Any) -> None:
        self._do(transition, *args)
        self._changed(self._claim.id)

    def _recorded_calls(self) -> dict[int, ledger.RecordedCall]:
        with self._lock:
            recorded = self._recorded
            if recorded is None:
                recorded = self._recorded = self._do(ledger.recorded_calls)
            return recorded

    def _key(self, ordinal: int) -> str:
        place = f"{self._claim.lineage_id}:{self._claim.step_number}:{ordinal}"
        return hashlib.sha256(place.encode()).hexdigest()

    def _check_replay(self, old: ledger.RecordedCall, ordinal: int, name: str, at_most_once: bool) -> None:
        step, number = self._claim.step, self._claim.step_number
        if old.name != name:
            raise ContextLost(
                f"Step {step} repeats in another order: its call {ordinal} was {old.name}, now it is {name}. A step "
                "must make the same calls again; keep what varies (time, random numbers) inside of calls.",
                step=step,
                step_number=number,
                ordinal=ordinal,
            )
        if old.status != "completed" and (at_most_once or old.at_most_once):
            what = "its outcome is unknown" if old.status == "started" else f"it failed: {old.outcome['message']}"
            raise ContextLost(
                f"Call {name} of step {step} may be made at most once, was begun before, and {what}. Find out what "
                "happened outside, then submit the rest as a new task.",
                step=step,
                step_number=number,
                ordinal=ordinal,
                call=name,
            )


def _reaching(run: Callable[[], T]) -> T:
    try:
        return run()
    except Transient as error:
        raise DatabaseAway(str(error)) from error


def _check_progress(done: Any, total: Any, message: Any) -> None:
    numbers = [done] if total is None else [done, total]
    if not all(type(number) in (int, float) and abs(number) < math.inf for number in numbers):
        raise InvalidInput(f"progress takes numbers, done and total, not {done!r} and {total!r}", field="done")
    if not isinstance(message, str | None):
        raise InvalidInput(f"progress takes a message of text, not {message!r}", field="message")


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _restore(function: Callable[..., Any], value: Any) -> Any:
    """The recorded JSON as the function's return annotation has it: the same at first and on repeat."""
    adapter = _return_type(_underlying(function))
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise StepFailed(
            f"Call {_name(function)} returned what its annotation does not allow: {first['msg']} at "
            f"{'.'.join(map(str, first['loc'])) or 'the top'}",
            call=_name(function),
        ) from None


def _underlying(function: Callable[..., Any]) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


@functools.lru_cache(maxsize=1024)
def _return_type(function: Any) -> "TypeAdapter[Any] | None":
    if not inspect.isfunction(function):
        return None
    try:
        hint = typing.get_type_hints(function, include_extras=True).get("return", Any)
        return None if hint is Any else TypeAdapter(hint)
    except (NameError, TypeError, PydanticUserError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return None  # not for pydantic: the caller gets plain JSON

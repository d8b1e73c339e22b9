"""The durable operations of a step whose life is cut: calls are answered as the first life's were, and noted."""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from agent_tasks.authoring.calls import recorded_errors
from agent_tasks.authoring.calls.charging import charge_plainly
from agent_tasks.authoring.calls.operations import Answer, Call, Charge, Intent
from agent_tasks.authoring.calls.spent import Spent
from agent_tasks.authoring.functions import is_async
from agent_tasks.engine.steps.answers import RecordedAnswer, restore
from agent_tasks.task import payloads
from agent_tasks.testing.calls import Refused
from agent_tasks.testing.crash.boundaries import Boundaries
from agent_tasks.testing.crash.journal import Journal
from agent_tasks.testing.crash.watch import Watch
from agent_tasks.testing.operations import TestedOperations

in_call: ContextVar[str | None] = ContextVar("agent_tasks_in_call", default=None)
"""The idempotency key of the call whose function runs here."""


class CutOperations(TestedOperations):
    """Operations with a boundary before and after each write, and each run of a call's function."""

    def __init__(
        self,
        *args: Any,
        boundaries: Boundaries,
        journal: Journal,
        answers: dict[str, Any] | None,
        watch: Watch,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self._boundaries = boundaries
        self._journal = journal
        self._answers = answers
        self._watch = watch

    def begin_call(self, call: Call) -> Intent:
        outer = call.branch.making
        if outer is not None:
            self._journal.note("nested", key=outer.key)
        name, once = self._named(call), call.options.at_most_once
        intent = super().begin_call(call)
        self._boundaries.reach(f"{name} has begun", once=once)
        return intent

    def end_call(self, intent: Intent, answer: Answer, order: int) -> Any:
        name, once = self._named(intent.call), intent.call.options.at_most_once
        self._boundaries.reach(f"{name} has run, and nothing is recorded of it", once=once)
        value = super().end_call(intent, answer, order)
        if isinstance(answer, RecordedAnswer):
            self._note_answer(intent, value=payloads.stored(answer.text))
        self._boundaries.reach(f"{name} is recorded")
        return value

    def fail_call(self, intent: Intent, error: BaseException, order: int, *, tried: bool) -> None:
        name, once = self._named(intent.call), intent.call.options.at_most_once
        self._boundaries.reach(f"{name} has failed, and nothing is recorded of it", once=once)
        super().fail_call(intent, error, order, tried=tried)
        self._note_answer(intent, error=recorded_errors.record(error))
        self._boundaries.reach(f"the failure of {name} is recorded")

    def note(self, call: Call, value: Any, order: int) -> tuple[Any, Intent]:
        key = call.record.idempotency_key
        if self._answers is not None and key in self._answers:
            value = restore(call.function, self._answers[key]["value"])
            given, intent = super(TestedOperations, self).note(call, value, order)
        else:
            given, intent = super().note(call, value, order)
        text = RecordedAnswer(call.function, given, self._limit).text
        self._journal.note(
            "answer", key=key, name=call.identity.name, value=payloads.stored(text), once=False, keyed=True
        )
        self._boundaries.reach(f"{self._named(call)} is recorded")
        return given, intent

    def charge(self, charge: Charge, order: int) -> None:
        if (key := in_call.get()) is not None:
            self._journal.note("spent", key=key, tokens=charge.tokens, usd=charge.usd)
        super().charge(charge, order)
        self._boundaries.reach(f"a charge of {self._claim.step} is recorded")

    def doing(
        self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[..., Any]:
        if self._answers is None:
            return self._watched(call, super().doing(call, function, args, kwargs))
        key = call.record.idempotency_key
        answer = self._answers.get(key)
        if answer is None:
            self._journal.note("unknown", name=self._named(call), args=repr((args, kwargs))[:200])
            raise Refused(f"{call.identity.name} is no call of the first life")
        if answer.get("nested"):
            return function
        self._journal.note("ran", key=key, name=self._named(call), function=known_as(call.function))
        return self._answered(call, answer)

    def _watched(self, call: Call, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return what runs in the first life: the function, watched for whether it has an effect."""
        key: str = call.record.idempotency_key
        self._journal.note("ran", key=key, name=self._named(call), function=known_as(call.function))

        if is_async(function):

            @functools.wraps(function)
            async def running(*args: Any, **kwargs: Any) -> Any:
                token, before = in_call.set(key), self._watch.state()
                try:
                    return await function(*args, **kwargs)
                finally:
                    in_call.reset(token)
                    self._note_effect(key, before)

            return running

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            token, before = in_call.set(key), self._watch.state()
            try:
                return function(*args, **kwargs)
            finally:
                in_call.reset(token)
                self._note_effect(key, before)

        return run

    def _note_effect(self, key: str, before: dict[str, str]) -> None:
        if changed := self._watch.changed(before):
            self._journal.note("effect", key=key, effect=f"changes {', '.join(changed)}")

    def _answered(self, call: Call, answer: dict[str, Any]) -> Callable[..., Any]:
        def answered(*args: Any, **kwargs: Any) -> Any:
            for spent in answer.get("spent", ()):
                charge_plainly(self, Spent.amounts(spent["tokens"], spent["usd"]))
            if "error" in answer:
                raise recorded_errors.rebuild(answer["error"])
            return restore(call.function, answer["value"])

        return answered

    def _note_answer(self, intent: Intent, **answer: Any) -> None:
        call = intent.call
        self._journal.note(
            "answer",
            key=call.record.idempotency_key,
            name=self._named(call),
            once=call.options.at_most_once,
            keyed=call.options.key is not None,
            function=known_as(call.function),
            **answer,
        )

    def _named(self, call: Call) -> str:
        return f"{call.identity.name} of {self._claim.agent}.{self._claim.step}"


def known_as(function: Any) -> str:
    """Return the module and the name by which a function is known in another process."""
    while isinstance(function, functools.partial):
        function = function.func
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', type(function).__qualname__)}"

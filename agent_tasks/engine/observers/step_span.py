"""The spans of a step that runs here: its own, those of its calls, its models and the wait that it has behind it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent_tasks.authoring.agent import is_tool
from agent_tasks.authoring.calls.operations import Call, Charge
from agent_tasks.authoring.functions import is_async
from agent_tasks.errors import AgentTaskError, LeaseLost
from agent_tasks.task.trace import own_and_parent, span_traceparent
from agent_tasks.task.usage import Usage
from agent_tasks.tracing.spans import Failure, Spans, at, context_of, described, is_recorded, new_below, now
from agent_tasks.transitions.claim import Claim


@dataclass(slots=True)
class _Spent:
    """What was charged within a span."""

    tokens: int = 0
    usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, charge: Charge) -> None:
        self.tokens += int(charge.tokens)
        self.usd += float(charge.usd)
        if charge.usage is not None:
            self.input_tokens += charge.usage.input_tokens
            self.output_tokens += charge.usage.output_tokens

    def said(self) -> dict[str, Any]:
        return {
            "agent_tasks.spent.tokens": self.tokens or None,
            "agent_tasks.spent.usd": self.usd or None,
            "gen_ai.usage.input_tokens": self.input_tokens or None,
            "gen_ai.usage.output_tokens": self.output_tokens or None,
        }


@dataclass(slots=True)
class _Made:
    """A call that is being made, or was."""

    traceparent: str
    began: int
    ended: int | None = None
    answered_until: int = 0
    """When the last model that was charged within it had answered."""
    spent: _Spent = field(default_factory=_Spent)


class StepSpan:
    """Writes the spans of one run. What it runs finds the step, or the call, as the current span of OpenTelemetry."""

    def __init__(self, spans: Spans, claim: Claim, traceparent: str) -> None:
        """`traceparent`: that of the task."""
        self._spans = spans
        self._claim = claim
        own, _ = own_and_parent(claim.id, traceparent, None)
        self.traceparent = new_below(own)
        self._task = own
        self._began = now()
        self._said = described(claim.row)
        self._spent = _Spent()
        self._calls: dict[int, _Made] = {}
        self._last: dict[str, _Made] = {}
        """The last call that ended, by the path of the branch that made it."""

    def enter(self) -> None:
        """Make it the current span of this context, which ends with the step."""
        from opentelemetry import context

        context.attach(context_of(self.traceparent, context.get_current()))

    def waited(self, senders: Callable[[dict[str, Any]], list[str]]) -> None:
        """Write the wait that the step has behind it, if any; `senders` are asked for who ended it, for links."""
        waited = self._claim.row["waited"]
        if waited is None or "since" not in waited:
            return
        ended: datetime = self._claim.row["pending_since"]
        kind, until = str(waited["kind"]), waited.get("until")
        names = waited.get("names") or []
        self._spans.write(
            f"wait {kind}",
            new_below(self._task),
            self._task[36:52],
            began=at(datetime.fromisoformat(waited["since"])),
            ended=at(ended),
            links=senders(waited) if names else (),
            attributes={
                **self._said,
                "agent_tasks.wait.kind": kind,
                "agent_tasks.wait.name": waited.get("name"),
                "agent_tasks.wait.timed_out": bool(names and until and datetime.fromisoformat(until) <= ended),
            },
        )

    def traced(self, call: Call, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, which makes a call, with a span around it."""
        if is_async(function):

            async def make(*args: Any, **kwargs: Any) -> Any:
                with self._making(call):
                    return await function(*args, **kwargs)

            return make

        def make_plainly(*args: Any, **kwargs: Any) -> Any:
            with self._making(call) as made:
                value = function(*args, **kwargs)
                if inspect.isawaitable(value):
                    made.ended = 0  # it only begins
                    return self._awaited(call, value)
                return value

        return make_plainly

    async def _awaited(self, call: Call, value: Awaitable[Any]) -> Any:
        with self._making(call):
            return await value

    @contextmanager
    def _making(self, call: Call) -> Generator[_Made]:
        from opentelemetry import context

        around = span_traceparent()
        if around is None or around[3:35] != self.traceparent[3:35]:
            around = self.traceparent  # in a thread that has not taken the context along
        made = self._calls[call.record.ordinal] = _Made(new_below(around), now())
        token = context.attach(context_of(made.traceparent, context.get_current()))
        error: BaseException | None = None
        try:
            yield made
        except BaseException as raised:
            error = raised
            raise
        finally:
            context.detach(token)
            if made.ended is None:
                made.ended = now()
                self._last[call.branch.path] = made
                self._write_call(call, made, around[36:52], error)

    def _write_call(self, call: Call, made: _Made, parent: str, error: BaseException | None) -> None:
        tool = is_tool(self._claim.agent, call.function)
        name = call.identity.name
        self._spans.write(
            f"{'execute_tool' if tool else 'call'} {name}",
            made.traceparent,
            parent,
            began=made.began,
            ended=made.ended or made.began,
            attributes={
                **self._said,
                "gen_ai.operation.name": "execute_tool" if tool else None,
                "gen_ai.tool.name": name if tool else None,
                "agent_tasks.call.name": name,
                "agent_tasks.call.ordinal": call.record.ordinal,
                "agent_tasks.call.attempt": call.tries,
                "agent_tasks.idempotency_key": call.record.idempotency_key,
                **made.spent.said(),
            },
            failure=None if error is None else self._failure(error),
        )

    def charged(self, charge: Charge) -> None:
        """Note what the step has spent, and write what a model has answered, if it was one that was paid.

        It is taken to have answered in the call that the same branch of the step made last, else within the call that
        charges.
        """
        around = next((self._calls[ordinal] for ordinal in charge.within if ordinal in self._calls), None)
        answered = self._last.get(charge.identity.branch or "")
        for spent in (self._spent, *(made.spent for made in (around,) if made is not None)):
            spent.add(charge)
        if charge.model is None or charge.usage is None:
            return
        moment = now()
        if answered is not None and answered.ended is not None:
            above, began, ended = answered.traceparent, answered.began, answered.ended
        elif around is not None:
            above, began, ended = around.traceparent, max(around.began, around.answered_until), moment
            around.answered_until = moment
        else:
            above, began, ended = self.traceparent, moment, moment
        self._write_chat(charge, charge.model, charge.usage, above, began, ended)

    def _write_chat(self, charge: Charge, named: str, usage: Usage, above: str, began: int, ended: int) -> None:
        provider, colon, model = named.rpartition(":")
        self._spans.write(
            f"chat {model}",
            new_below(above),
            above[36:52],
            began=began,
            ended=ended,
            kind="CLIENT",
            attributes={
                **self._said,
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": provider if colon else None,
                "gen_ai.request.model": model,
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "agent_tasks.spent.usd": float(charge.usd),
            },
        )

    def end(self, outcome: str, error: BaseException | None) -> None:
        """Write the step's own span; called once, after its end is committed or given up."""
        claim = self._claim
        self._spans.write(
            f"step {claim.agent}.{claim.step}",
            self.traceparent,
            self._task[36:52],
            began=self._began,
            ended=now(),
            kind="CONSUMER",
            attributes={
                **self._said,
                "agent_tasks.step.name": claim.step,
                "agent_tasks.step.number": claim.step_number,
                "agent_tasks.step.attempt": claim.attempt,
                "agent_tasks.step.run": claim.run,
                "agent_tasks.step.outcome": outcome,
                "agent_tasks.queue_seconds": claim.row["queued_seconds"],
                "messaging.operation.type": "process",
                "messaging.destination.name": claim.row["queue"],
                **self._spent.said(),
            },
            failure=None if error is None else self._failure(error),
        )

    def _failure(self, error: BaseException) -> Failure:
        kind = str(error.info.type) if isinstance(error, AgentTaskError) else type(error).__name__
        if isinstance(error, asyncio.CancelledError | LeaseLost):
            return Failure(kind)
        return Failure(kind, None if self._claim.row["sensitive"] else str(error)[:500])


def begin(spans: Spans, claim: Claim) -> StepSpan | None:
    """Return the span of a step that begins; None where there are none, or the task's trace is not recorded."""
    traceparent = claim.row["traceparent"]
    if traceparent is None or not spans.are_written or not is_recorded(traceparent):
        return None
    span = StepSpan(spans, claim, traceparent)
    claim.traceparent = span.traceparent
    return span

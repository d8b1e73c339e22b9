"""The durable operations of a step of a test: on Postgres, with stubs for its calls and the test's clock."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from agent_tasks.authoring.calls import notes
from agent_tasks.authoring.calls.operations import Call, Intent, Outgoing
from agent_tasks.client.outcome import tell
from agent_tasks.engine.steps.operations import StepOperations
from agent_tasks.testing.calls import Calls
from agent_tasks.testing.stubbed import StubbedTask, instead


class TestedOperations(StepOperations):
    """Operations of a worker, but for what runs when a call is made, and for what `ctx.now()` says."""

    __test__ = False

    def __init__(self, *args: Any, calls: Calls, ahead: Callable[[], timedelta]) -> None:
        super().__init__(*args)
        self._calls = calls
        self._ahead = ahead

    def doing(
        self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[..., Any]:
        if call.is_message:
            return function
        stub = self._calls.find(call.function, self._claim.agent, self._claim.step)
        self._calls.note(call.function, args, kwargs)
        return function if stub is None else instead(stub, self)

    def outgoing(self, celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outgoing:
        stub = self._calls.find(celery_task, self._claim.agent, self._claim.step)
        if stub is None:
            return super().outgoing(celery_task, args, kwargs)

        def told(signal: str, outcome: Any, error: dict[str, Any] | None) -> None:
            self._calls.note(celery_task, args, kwargs)
            tell(self._deployment, self.task_id, signal, outcome, error)

        return StubbedTask(celery_task, args, kwargs, stub, told)

    def note(self, call: Call, value: Any, order: int) -> tuple[Any, Intent]:
        return super().note(call, value + self._ahead() if call.function is notes.now else value, order)

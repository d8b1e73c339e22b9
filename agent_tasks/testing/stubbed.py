"""What runs in the place of a stubbed function, or of a stubbed task of a Celery app."""

from collections.abc import Callable
from typing import Any

from agent_tasks.authoring.calls import recorded_errors
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.calls.charging import charge_plainly
from agent_tasks.authoring.calls.operations import Operations, Outgoing
from agent_tasks.authoring.calls.spent import Spent
from agent_tasks.task.arguments import TASK_SIGNALS, refused
from agent_tasks.testing.calls import Stub

Told = Callable[[str, Any, dict[str, Any] | None], None]
"""Is given the signal that tells of the end of a Celery task, what it returned, and the error that it raised."""


def instead(stub: Stub, operations: Operations) -> Callable[..., Any]:
    """Return the function that runs for a stubbed one: it charges what the stub spends, and answers as that says."""

    def stubbed(*args: Any, **kwargs: Any) -> Any:
        if stub.tokens or stub.usd:
            charge_plainly(operations, Spent.amounts(stub.tokens, stub.usd))
        return stub.answer(args, kwargs)

    return stubbed


class StubbedTask(Outgoing):
    """A task of a Celery app that is never sent: it has ended, as its stub says, when it would have been."""

    def __init__(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], stub: Stub, told: Told) -> None:
        self.function = task
        self.name = name_of_task(task)
        self._args = args
        self._kwargs = kwargs
        self._stub = stub
        self._told = told

    def signal(self, identity: CallIdentity) -> str:
        return f"{TASK_SIGNALS}{self.name[-70:]}:{identity.fingerprint}"

    def send(self, identity: CallIdentity) -> str:
        outcome, error = None, None
        try:
            outcome = self._stub.answer(self._args, self._kwargs)
        except Exception as raised:
            error = recorded_errors.record(raised)
        self._told(self.signal(identity), outcome, error)
        return identity.fingerprint

    def read(self, payload: Any) -> Any:
        return payload["result"]


def name_of_task(task: Any) -> str:
    """Return the name of a Celery task. Raises InvalidInput for what is none."""
    name = getattr(task, "name", None)
    if not isinstance(name, str):
        raise refused("ctx.task takes a task of your Celery app", task, "task")
    return name

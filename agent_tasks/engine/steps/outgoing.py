"""OutgoingTask: a task of a team's app as a step sends it, with links by which the step hears of its end."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import Celery, Task
from celery.canvas import Signature
from celery.exceptions import NotRegistered

from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.calls.operations import Outgoing
from agent_tasks.doorbell.installed import installed
from agent_tasks.doorbell.outcome import linked
from agent_tasks.engine.steps.answers import restore
from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import TASK_SIGNALS, refused

_LONGEST_NAME = 70


class OutgoingTask(Outgoing):
    """A task that is sent to its own queue, by its own app, under an id that follows from the call that sends it."""

    def __init__(
        self,
        celery_task: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        task_id: UUID,
        queue: str,
        key_of: Callable[[CallIdentity], str],
        seal_with: bytes,
    ) -> None:
        """`task_id`: of the agent's task that waits; `queue`: where the workers are that serve its steps; `seal_with`:
        the key that signs what tells of the end.

        Raises InvalidInput for what is no task of the app on which `install` was called.
        """
        self._signature = _signature(celery_task, args, kwargs)
        self._app = _app_of(self._signature)
        self._task_id = task_id
        self._queue = queue
        self._key_of = key_of
        self._seal_with = seal_with
        try:
            self.function: Any = self._app.tasks[self._signature.task]
        except NotRegistered:
            raise InvalidInput(
                f"The app {self._app.main!r} has no task {self._signature.task!r} here: import its module", field="task"
            ) from None
        self.name = str(self._signature.task)

    def signal(self, identity: CallIdentity) -> str:
        return f"{TASK_SIGNALS}{self.name[-_LONGEST_NAME:]}:{self._id(identity)}"

    def send(self, identity: CallIdentity) -> str:
        id = self._id(identity)
        signature = linked(
            self._signature,
            self._app,
            self._queue,
            task_id=self._task_id,
            signal=self.signal(identity),
            key=self._seal_with,
        )
        signature.apply_async(task_id=id)
        return id

    def read(self, payload: Any) -> Any:
        return restore(self.function.run, payload["result"])

    def _id(self, identity: CallIdentity) -> str:
        return str(UUID(self._key_of(identity)[:32]))


def _signature(celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a signature of one task, with these arguments."""
    if isinstance(celery_task, Task):
        return celery_task.signature(args, kwargs)
    if type(celery_task) is Signature:
        return celery_task.clone(args, kwargs)
    instead = ": send the tasks of a chain, group or chord one by one" if isinstance(celery_task, Signature) else ""
    raise refused(f"ctx.task takes a task of your Celery app, or its signature{instead}", celery_task, "task")


def _app_of(signature: Any) -> Celery:
    """Return the app of a task, if that is the one that is installed here, and sends messages."""
    ours = installed()
    if ours is None:
        raise InvalidInput(
            "ctx.task sends tasks of an app on which install(app) was called, and there is none in this process: see "
            "docs/adopting.md; workers of ours find the app by AGENT_TASKS_APP",
            field="task",
        )
    if signature.app is not ours.app:
        raise InvalidInput(
            f"{signature.task} is a task of another app than {ours.app.main!r}, on which install was called: nobody "
            "there would tell this task of its end",
            field="task",
        )
    if ours.app.conf.task_always_eager:
        raise InvalidInput(
            "task_always_eager is on, so that no task is sent to a queue, and ctx.task could not wait for one: turn "
            "it off, or call the task's function by ctx.call",
            field="task",
        )
    return ours.app

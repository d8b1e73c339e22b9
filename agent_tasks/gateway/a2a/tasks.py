"""Tasks as A2A tells of them: states, artifacts, and what a task that waits asks for."""

from typing import Any

from a2a.types import a2a_pb2 as a2a
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from agent_tasks.gateway.a2a.incoming import KEY
from agent_tasks.gateway.a2a.skills import Skill
from agent_tasks.gateway.a2a.values import fitting, part_of, struct_of, time_of
from agent_tasks.task.arguments import TASK_SIGNALS
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

KEPT = "a2a"
"""In the metadata of a task: what is kept of the message that began it."""
RESULT, PARTIAL = "result", "partial"
"""The ids of a task's artifacts."""
STATES = {
    TaskStatus.PENDING: a2a.TASK_STATE_SUBMITTED,
    TaskStatus.RUNNING: a2a.TASK_STATE_WORKING,
    TaskStatus.WAITING: a2a.TASK_STATE_WORKING,
    TaskStatus.COMPLETED: a2a.TASK_STATE_COMPLETED,
    TaskStatus.FAILED: a2a.TASK_STATE_FAILED,
    TaskStatus.CANCELLED: a2a.TASK_STATE_CANCELED,
    TaskStatus.TIMEOUT: a2a.TASK_STATE_FAILED,
    TaskStatus.PARTIAL: a2a.TASK_STATE_FAILED,
}


def task_of(task: TaskSnapshot, skill: Skill | None, *, artifacts: bool = True) -> a2a.Task:
    """The task, without its history."""
    found = a2a.Task(
        id=str(task.id),
        context_id=context_of(task),
        status=status_of(task, skill),
        metadata=metadata_of(task, skill),
    )
    if artifacts:
        found.artifacts.extend(artifacts_of(task))
    return found


def context_of(task: TaskSnapshot) -> str:
    """The task's session; of one without a session its own id."""
    return task.session_id or str(task.id)


def awaited(task: TaskSnapshot) -> list[str]:
    """The names of the signals that a task waits for, and anybody may send."""
    waiting = task.waiting_for
    if task.status is not TaskStatus.WAITING or waiting is None:
        return []
    return [name for name in waiting.names or [] if not name.startswith(TASK_SIGNALS)]


def state_of(task: TaskSnapshot) -> a2a.TaskState:
    """The state that is told of a task."""
    return a2a.TASK_STATE_INPUT_REQUIRED if awaited(task) else STATES[task.status]


def awaits_client(task: TaskSnapshot) -> bool:
    """Whether nobody but the client can bring the task on: it has ended, or waits for input."""
    return task.status.is_terminal or bool(awaited(task))


def status_of(task: TaskSnapshot, skill: Skill | None) -> a2a.TaskStatus:
    """The state of a task, since when, and what it has to say of it."""
    said = a2a.TaskStatus(state=state_of(task), timestamp=changed_at(task))
    parts = _parts_of_status(task, skill)
    if parts:
        said.message.CopyFrom(message_of(task, f"{task.id}-{task.version}", parts))
    return said


def message_of(task: TaskSnapshot, id: str, parts: list[a2a.Part]) -> a2a.Message:
    """A message of the agent."""
    return a2a.Message(
        message_id=id, role=a2a.ROLE_AGENT, task_id=str(task.id), context_id=context_of(task), parts=parts
    )


def result_message(task: TaskSnapshot) -> a2a.Message:
    """The result of a completed task as a message."""
    return message_of(task, f"{task.id}-result", [part_of(task.result)])


def artifacts_of(task: TaskSnapshot) -> list[a2a.Artifact]:
    """What has come of a task: its result once it has ended, before that what it has kept with `ctx.partial`."""
    if task.status.is_terminal and task.result is not None:
        return [artifact(RESULT if task.error is None else PARTIAL, task.result)]
    return [] if task.partial is None else [artifact(PARTIAL, task.partial)]


def artifact(id: str, value: Any) -> a2a.Artifact:
    return a2a.Artifact(artifact_id=id, name=id, parts=[part_of(value)])


def changed_at(task: TaskSnapshot) -> Timestamp:
    """When the task came to the state that it is in, in milliseconds."""
    waiting = task.waiting_for
    at = task.finished_at or (waiting.since if waiting else None) or task.claimed_at or task.created_at
    return time_of(at)


def metadata_of(task: TaskSnapshot, skill: Skill | None) -> Struct:
    """What the submit gave, and under `agent-tasks` what A2A has no fields for."""
    given = {name: value for name, value in (task.metadata or {}).items() if name != KEPT}
    own: dict[str, Any] = {
        "skill": skill.id if skill else task.agent,
        "status": str(task.status),
        "version": task.version,
        "budget": task.budget.model_dump(mode="json", exclude_none=True),
    }
    if task.progress is not None:
        own["progress"] = task.progress.model_dump(mode="json", exclude_none=True)
    if task.paused is not None:
        own["paused"] = task.paused.model_dump(mode="json", exclude_none=True)
    return struct_of({**fitting(given), KEY: own})


def _parts_of_status(task: TaskSnapshot, skill: Skill | None) -> list[a2a.Part]:
    if task.error is not None:
        return [part_of(task.error.message), part_of({"error": task.error.model_dump(mode="json")})]
    if names := awaited(task):
        return [part_of(f"Waits for {' or '.join(names)}."), part_of({"signals": _asked_for(task, skill, names)})]
    if task.progress is not None and task.progress.message and not task.status.is_terminal:
        return [part_of(task.progress.message)]
    return []


def _asked_for(task: TaskSnapshot, skill: Skill | None, names: list[str]) -> dict[str, Any]:
    """Of each signal the wait that it would answer, and the JSON schema of what the step takes, where it says so."""
    waiting = task.waiting_for
    assert waiting is not None
    schema = payload_schema(task, skill)
    return {
        name: {
            "wait_id": (waiting.wait_ids or {}).get(name) or waiting.wait_id,
            **({} if schema is None else {"schema": schema}),
        }
        for name in names
    }


def payload_schema(task: TaskSnapshot, skill: Skill | None) -> dict[str, Any] | None:
    """The JSON schema of the payload that the waiting step takes; None where it takes any, or has not said."""
    if skill is None or (task.waiting_for is not None and task.waiting_for.waits is not None):
        return None
    return skill.agent.payload_schemas.get(task.step)

"""Stage five: which task a request is for, or which agent and queue a new one goes to."""

from dataclasses import dataclass

from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.submission import Target
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.store.queries import doors
from agent_tasks.task.arguments import as_uuid


@dataclass(frozen=True)
class Route:
    """Where a new task goes."""

    target: Target
    queue: str | None
    """None: the agent's own, else the deployment's."""


def find(gate: Gate, caller: Caller, task_id: str) -> TaskHandle:
    """The handle of a task, which is not looked at here: whatever is done with it looks, and raises TaskNotFound."""
    return TaskHandle(gate.client, as_uuid(task_id), caller.viewer)


def route(gate: Gate, caller: Caller, agent: str, queue: str | None, session_id: str | None) -> Route:
    """Where a new task of `agent` goes: to the queue that is named, else where its session's last one went.

    Raises UnknownAgent.
    """
    target = gate.client.find_target(agent)
    if queue is None and session_id:
        with gate.client.database.connection() as connection:
            queue = doors.session_queue(connection, session_id, target.name, caller.identity)
    return Route(target, queue)

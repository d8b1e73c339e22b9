"""A request to run an agent, made a task of and accepted, whichever door it has come through."""

from agent_tasks.client.handle import TaskHandle
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import SubmitBody
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.idempotency import request_digest
from agent_tasks.gateway.stages.limit import budget_of
from agent_tasks.gateway.stages.route import Route


def accept(
    gate: Gate, caller: Caller, body: SubmitBody, to: Route, key: str | None, *, same: SubmitBody | None = None
) -> TaskHandle:
    """Accept a task as the caller; where the key is known, the task that the first request with it has made.

    `same`: what two requests with a key have to have in common; None: all. Raises what `AgentTasks.submit` raises.
    """
    task = gate.client.new_task(
        to.target, body.input, budget_of(body.budget), **body.options(caller.identity, to.queue)
    )
    if key is None:
        return gate.accepting.accept(task)
    return gate.client.accept(task, idempotency_key=key, request=request_digest(same or body))

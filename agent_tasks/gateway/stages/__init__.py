"""The six stages of a request, a module each. Every door sends each of its requests through them in this order:

1. `authenticate`: is the token ours, or our issuer's? Else 401.
2. `identify`: whom does it stand for, in which tenant, and whose tasks may be seen?
3. `authorise`: does that include this operation? Else 403.
4. `limit`: is the tenant within its rate and its open tasks? Else 429. Can the budget be one? Else 422.
5. `route`: which task, or which agent and queue? Else 404 or 422.
6. `submit`: do it, in one transaction with the row of the audit; what was refused is audited, too.

`admit` is the first four, as far as the head of a request goes: the budget is in its body.
"""

from dataclasses import replace

from agent_tasks.client import hooks
from agent_tasks.gateway.arrival import Admitted, Arrival, Caller, ShownHook
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.gateway.stages.authorise import authorise
from agent_tasks.gateway.stages.identify import identify
from agent_tasks.gateway.stages.limit import limit
from agent_tasks.gateway.stages.submit import auditing


def admit_hook(gate: Gate, arrival: Arrival) -> Admitted:
    """Stages one to five of a request to a hook, whose URL names the task: `arrival.token` is the token in it.

    Raises HookNotFound, HookClosed where no task is left, Refused where a limit is reached.
    """
    token = hooks.read_token(gate.client, arrival.token or "")
    task = hooks.find_target(gate.client, token)
    shown = ShownHook(token, task["agent"], (task["identity"] or {}).get("tenant", ""), task["now"])
    caller = Caller(None, None, hook=shown)
    known = replace(arrival, task_id=str(task["id"]), target=token.signal)
    authorise(caller, arrival.operation)
    return Admitted(known, caller, limit(gate, caller, known))


def admit(gate: Gate, arrival: Arrival) -> Admitted:
    """Stages one to four. Raises Unauthenticated, PermissionDenied, Refused where a limit is reached."""
    caller = identify(authenticate(gate, arrival.token, arrival.door))
    with auditing(gate, arrival, caller):
        authorise(caller, arrival.operation)
    return Admitted(arrival, caller, limit(gate, caller, arrival))

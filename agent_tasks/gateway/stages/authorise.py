"""Stage three: whether the caller's scopes include the operation."""

from agent_tasks.errors import PermissionDenied
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.operations import Operation
from agent_tasks.task.scopes import Scope


def authorise(caller: Caller, operation: Operation) -> None:
    """Raise PermissionDenied where a scope is missing.

    A caller without an identity is a trusted program, or has a hook, which is the right to what was asked for.
    """
    if (
        caller.identity is None
        or not operation.scope
        or {Scope.ADMIN, operation.scope} & {*caller.identity.scopes, *caller.granted}
    ):
        return
    raise PermissionDenied(
        f"This takes the scope {operation.scope!r}, which the token has not. Ask for one that has it "
        f"(`agent-tasks keys create --scope {operation.scope} …`).",
        scope=operation.scope,
    )

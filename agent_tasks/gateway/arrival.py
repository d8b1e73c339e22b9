"""A request on its way through the stages: as it arrives, and once it is known who sent it."""

from dataclasses import dataclass, field
from datetime import datetime

from agent_tasks.gateway.operations import Operation
from agent_tasks.task.hook_token import HookToken
from agent_tasks.task.identity import Identity


@dataclass(frozen=True)
class Arrival:
    """A request as it comes through a door: nothing in it is trusted."""

    door: str
    """`http`, `hook`, or the name of the protocol: `agentcore`, `a2a`."""
    origin: str
    """The address that it comes from."""
    token: str | None = field(repr=False)
    """The bearer token, where there is one."""
    operation: Operation
    task_id: str | None = None
    """The task that it names, if any; perhaps no id at all."""
    target: str | None = None
    """The signal, the schedule, the endpoint or the delivery that it names."""
    idempotency_key: str | None = None
    """Its Idempotency-Key, as it was sent."""
    traceparent: str | None = None
    """The span that it is a part of: the gateway's own where that is traced by a middleware, else the caller's."""


@dataclass(frozen=True)
class ShownHook:
    """A hook whose URL was asked for: the right to send one signal to one task."""

    token: HookToken
    agent: str
    """Of the task that it speaks to."""
    tenant: str
    """Of that task."""
    at: datetime
    """When it was shown, by the database's clock."""


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    identity: Identity | None
    """Whom writes are made as; None: a trusted program, as which everybody acts where authentication is off."""
    viewer: Identity | None
    """Whom access is checked against; None may see all tasks: a trusted program, or the scope `admin`."""
    key_id: str | None = None
    granted: frozenset[str] = frozenset()
    """Scopes for this request, besides those of the identity."""
    hook: "ShownHook | None" = None
    """The hook that was shown, which stands for nobody."""

    @property
    def tenant(self) -> str:
        """The tenant whose limits apply."""
        return self.identity.tenant if self.identity else self.hook.tenant if self.hook else ""

    @property
    def is_limited(self) -> bool:
        """Whether limits apply: to all but a trusted program."""
        return self.identity is not None or self.hook is not None


@dataclass(frozen=True)
class Admitted:
    """A request that has passed the first four stages."""

    arrival: Arrival
    caller: Caller
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """What the answer says of the limits that apply."""

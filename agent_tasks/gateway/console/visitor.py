"""Visitor: who looks at a page, and what of it is for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent_tasks.client.client import AgentTasks
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.task.scopes import Scope

Query = Mapping[str, Sequence[str]]
"""What stands behind the `?` of an address: names, each with its values."""


@dataclass(frozen=True)
class Visitor:
    """A caller at a page. Pages look the same to all who are equal in this."""

    subject: str
    """Empty: a trusted program, where authentication is off."""
    tenant: str
    scopes: frozenset[str]
    is_trusted: bool

    @classmethod
    def of(cls, caller: Caller) -> "Visitor":
        """Return the visitor that a caller is."""
        identity = caller.identity
        if identity is None:
            return cls("", "", frozenset(), is_trusted=True)
        return cls(identity.subject, identity.tenant, frozenset(identity.scopes), is_trusted=False)

    def may(self, scope: str) -> bool:
        """Whether a scope is granted."""
        return self.is_trusted or bool({scope, Scope.ADMIN} & self.scopes)

    @property
    def sees_all(self) -> bool:
        """Whether all tenants are seen."""
        return self.is_trusted or Scope.ADMIN in self.scopes

    @property
    def sees_payloads(self) -> bool:
        """Whether what sensitive agents record may be looked at: `admin` alone does not grant it."""
        return self.is_trusted or Scope.PAYLOADS in self.scopes


@dataclass(frozen=True)
class Look:
    """A look at a page: what was asked for, by whom, of which deployment."""

    gate: Gate
    caller: Caller
    path: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Query = field(default_factory=dict[str, Sequence[str]])

    @property
    def client(self) -> AgentTasks:
        return self.gate.client

    @property
    def visitor(self) -> Visitor:
        return Visitor.of(self.caller)

    def first(self, name: str) -> str:
        """The value of a name in the query; empty where it has none."""
        values = self.query.get(name) or [""]
        return values[0].strip()

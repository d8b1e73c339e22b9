"""What the agents are to the clients of a protocol: made once for each change of what they say of themselves."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

from agent_tasks.client.agents import AgentInfo
from agent_tasks.client.client import AgentTasks

T = TypeVar("T")
_FRESH_SECONDS = 1.0
"""How long what was read of the agents is taken for what they say."""


class KnownAgents:
    """Reads what the agents say, at most once a second. Thread-safe: two threads may read it at the same moment."""

    def __init__(self, client: AgentTasks) -> None:
        self._client = client
        self._known: tuple[float, Sequence[AgentInfo]] | None = None

    def read(self) -> Sequence[AgentInfo]:
        """The agents as they were at most a second ago, by name: the same object for as long as they say the same."""
        known = self._known
        if known is not None and monotonic() - known[0] < _FRESH_SECONDS:
            return known[1]
        began, found = monotonic(), self._client.agents()
        same = known[1] if known is not None and known[1] == found else found
        self._known = began, same
        return same


class OfAgents(Generic[T]):
    """What is made of the agents, as they were at most a second ago. Thread-safe."""

    def __init__(self, agents: KnownAgents, make: Callable[[Sequence[AgentInfo]], T]) -> None:
        self._agents = agents
        self._make = make
        self._made: tuple[Sequence[AgentInfo], T] | None = None

    def read(self) -> T:
        """Return it. Asks Postgres, at most once a second."""
        agents, made = self._agents.read(), self._made
        if made is None or made[0] is not agents:
            made = self._made = (agents, self._make(agents))
        return made[1]

    @property
    def last(self) -> T | None:
        """What was read last; None before the first time. Asks nobody."""
        return None if self._made is None else self._made[1]

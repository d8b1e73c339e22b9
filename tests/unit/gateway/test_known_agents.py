"""What the doors of MCP and A2A know of the agents."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from agent_tasks import AgentTasks
from agent_tasks.client.agents import AgentInfo
from agent_tasks.gateway import known_agents
from agent_tasks.gateway.known_agents import KnownAgents, OfAgents


class Deployment:
    """Agents that are asked for, and how often."""

    def __init__(self) -> None:
        self.names = ["echo"]
        self.asked = 0

    def agents(self) -> list[AgentInfo]:
        self.asked += 1
        return [AgentInfo(name=name, first_step="begin") for name in self.names]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(known_agents, "monotonic", lambda: now[0])
    return now


def test_agents_are_read_once_a_second_for_all_who_ask(clock: list[float]) -> None:
    deployment = Deployment()
    agents = KnownAgents(cast(AgentTasks, deployment))
    readers = [OfAgents[Any](agents, lambda found: [agent.name for agent in found]) for _ in range(2)]
    assert [reader.read() for reader in readers] == [["echo"]] * 2
    deployment.names = ["count"]
    assert (readers[0].read(), deployment.asked) == (["echo"], 1)
    clock[0] += 1.0
    assert [reader.read() for reader in readers] == [["count"]] * 2
    assert deployment.asked == 2


def test_what_is_made_of_agents_is_made_anew_where_they_say_something_else_and_only_then(clock: list[float]) -> None:
    deployment, made = Deployment(), list[int]()

    def count(agents: Sequence[AgentInfo]) -> int:
        made.append(len(agents))
        return len(agents)

    reader = OfAgents(KnownAgents(cast(AgentTasks, deployment)), count)
    assert reader.last is None
    for _ in range(3):
        assert reader.read() == 1
        clock[0] += 1.0
    assert (made, deployment.asked) == ([1], 3)
    deployment.names.append("count")
    assert (reader.last, reader.read(), reader.last) == (1, 2, 2)
    assert made == [1, 2]

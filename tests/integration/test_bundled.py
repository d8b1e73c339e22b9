"""The bundled agents: loaded where a setting names them, and nowhere else."""

import pytest

from agent_tasks import AgentTasks, UnknownAgent
from agent_tasks.authoring.agent import _registry  # pyright: ignore[reportPrivateUsage]
from agent_tasks.authoring.loading import BUNDLED
from agent_tasks.authoring.peers.own import OWN
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes

CHILDREN = {"research-analyst", "research-reader", "research-writer"}


@pytest.fixture(autouse=True)
def not_loaded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BUNDLED.keys() | CHILDREN:
        monkeypatch.delitem(_registry, name, raising=False)


def served(client: AgentTasks) -> set[str]:
    """The bundled agents that workers have loaded and registered."""
    steps = {
        step.partition(".")[0]
        for row in query(client, "SELECT steps FROM agent_tasks.workers")
        for step in row["steps"]
    }
    registered = {row["name"] for row in query(client, "SELECT name FROM agent_tasks.agents")}
    assert steps - OWN.keys() == registered
    return steps & (BUNDLED.keys() | CHILDREN)


@pytest.mark.parametrize(
    ("bundled", "loaded"),
    [
        ((), set()),
        (("research",), {"research"} | CHILDREN),
        (("orchestrator",), {"orchestrator"} | CHILDREN),
        (("research", "orchestrator"), {"research", "orchestrator"} | CHILDREN),
        (("planner",), {"planner"}),
    ],
)
def test_a_worker_loads_the_bundled_agents_that_are_named_and_no_other(
    client: AgentTasks, processes: Processes, bundled: tuple[str, ...], loaded: set[str]
) -> None:
    processes.worker(fresh=True, bundled=bundled)
    assert served(client) == loaded
    for name in BUNDLED.keys() - loaded:
        with pytest.raises(UnknownAgent):
            client.submit(name, {"paths": ["/etc"], "question": "What is in there?"})


def test_a_bundled_agent_that_is_not_there_is_named_at_the_start(processes: Processes) -> None:
    worker = processes.worker(fresh=True, ready=False, bundled=("researcher",))
    assert worker.wait_for_exit() != 0
    eventually(
        lambda: "No bundled agent is named 'researcher'; choose from orchestrator, planner, research" in worker.output
    )
    assert "AGENT_TASKS_BUNDLED names researcher" in worker.output

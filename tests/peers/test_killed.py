"""SIGKILL around a request to a program elsewhere, and many waits at once."""

import signal
from collections.abc import Iterator

import pytest

pytest.importorskip("mcp")
pytest.importorskip("a2a")

from agent_tasks import AgentTasks, Settings
from tests import rows
from tests.eventually import eventually
from tests.peers.a2a_peer import A2APeer, a2a_peer
from tests.peers.conftest import AGENTS
from tests.peers.mcp_peer import McpPeer, mcp_peer
from tests.processes import Processes

MEMBERS = 100


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"agents": AGENTS})


@pytest.fixture
def tools() -> Iterator[McpPeer]:
    with mcp_peer() as peer:
        yield peer


@pytest.fixture
def peer() -> Iterator[A2APeer]:
    with a2a_peer() as peer:
        yield peer


def test_a_worker_that_is_killed_before_an_answer_is_recorded_asks_again_under_the_same_id_or_not_at_all(
    client: AgentTasks, processes: Processes, peer: A2APeer, tools: McpPeer
) -> None:
    processes.sweeper()
    processes.beat()
    doomed = processes.worker()
    peer.may_answer.clear()
    tools.may_go_on.clear()
    task = client.submit("travel", {"url": peer.url, "inputs": ["a"]})
    again = client.submit("asks_tool", {"url": tools.url, "tool": "echo", "arguments": {"word": "again"}})
    once = client.submit("asks_tool_once", {"url": tools.url})
    assert peer.arrived.wait(60)
    eventually(lambda: len(tools.calls) == 2, 60)
    doomed.kill()
    peer.may_answer.set()
    tools.may_go_on.set()
    processes.worker()
    assert again.result(timeout=100)["text"] == "heard again"
    error = once.wait(timeout=60).error
    assert error is not None
    assert error.type == "context_lost"
    assert sorted(call["arguments"]["word"] for call in tools.calls) == ["again", "again", "once"]
    assert len({call["meta"]["agent-tasks/idempotency-key"] for call in tools.calls}) == 2
    eventually(lambda: len(peer.messages) > 1, 60)
    eventually(lambda: peer.looks, 60)
    peer.finish("task-1")
    (outcome,) = task.result(timeout=60)
    assert outcome["result"]["text"] == "end of task-1"
    assert list(peer.tasks) == ["task-1"]
    assert len({message["messageId"] for message in peer.messages}) == 1


def test_a_tree_that_is_cancelled_after_the_worker_was_killed_reaches_the_remote_task(
    client: AgentTasks, processes: Processes, peer: A2APeer
) -> None:
    processes.sweeper()
    processes.beat()
    doomed = processes.worker()
    peer.may_answer.clear()
    task = client.submit("travel", {"url": peer.url, "inputs": ["a"]})
    assert peer.arrived.wait(60)
    doomed.kill()
    peer.may_answer.set()
    task.cancel("it hangs")
    processes.worker()
    assert eventually(lambda: peer.cancelled, 60) == ["task-1"]
    assert list(peer.tasks) == ["task-1"]


@pytest.mark.parametrize("moment", ["committed", pytest.param("published", marks=pytest.mark.slow)])
def test_a_worker_that_is_killed_while_a_tool_is_awaited_calls_it_no_second_time(
    client: AgentTasks, processes: Processes, tools: McpPeer, moment: str
) -> None:
    processes.sweeper()
    processes.beat()
    doomed = processes.worker(kill_at=f"begin:{moment}", quantum_seconds=0, ready=False)
    task = client.submit("asks_tool", {"url": tools.url, "tool": "slow"})
    assert doomed.wait_for_exit(60) == -signal.SIGKILL, doomed.story
    processes.worker()
    eventually(lambda: tools.looks, 60)
    tools.finish("task-1")
    assert task.result(timeout=60)["text"] == "end of task-1"
    assert len(tools.calls) == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_tasks_elsewhere_are_awaited_without_a_worker(
    client: AgentTasks, processes: Processes, tools: McpPeer
) -> None:
    processes.fleet(concurrency=4)
    tools.interval = 30_000
    task = client.submit("crowd_elsewhere", {"url": tools.url, "members": MEMBERS})
    sql = """
        SELECT count(*) AS parked FROM agent_tasks.tasks
        WHERE status = 'waiting' AND worker IS NULL AND waiting_for ->> 'kind' = 'timer'
    """
    eventually(lambda: len(tools.tasks) == MEMBERS and rows.query(client, sql)[0]["parked"] == MEMBERS, 120)
    other = client.submit("asks_tool", {"url": tools.url, "tool": "echo", "arguments": {"word": "a"}})
    assert other.result(timeout=30)["text"] == "heard a"
    for task_id in list(tools.tasks):
        tools.finish(task_id)
    assert task.result(timeout=120) == MEMBERS
    assert len(tools.calls) == MEMBERS + 1

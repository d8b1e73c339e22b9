"""Steps that call agent-tasks elsewhere: our clients and our servers, over real gateways."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("a2a")
pytest.importorskip("mcp")

from agent_tasks import AgentTasks, TaskHandle
from tests import rows
from tests.conftest import Fleet
from tests.eventually import eventually


@pytest.fixture(scope="module")
def gateway(elsewhere: Fleet) -> Iterator[str]:
    """The URL of a gateway, which its card names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    running, _ = elsewhere.processes.gateway("--port", str(port), public_url=url, gateway_auth="off")
    yield url
    running.kill()


def asked(deployed: AgentTasks, task: TaskHandle) -> TaskHandle:
    """The child that waits, once the remote task has asked."""

    def waits() -> TaskHandle | None:
        for child in task.children():
            waiting = child.snapshot().waiting_for
            if waiting is not None and waiting.names == ["input"]:
                return child
        return None

    return eventually(waits)


def remote_of(deployed: AgentTasks) -> dict[str, Any]:
    return rows.query(deployed, "SELECT * FROM agent_tasks.tasks WHERE agent = 'guide' ORDER BY id DESC LIMIT 1")[0]


def test_an_agent_of_ours_is_a_child_over_a2a(deployed: AgentTasks, gateway: str) -> None:
    task = deployed.submit("guided", {"url": gateway, "text": "Rome"})
    child = asked(deployed, task)
    remote = remote_of(deployed)
    assert (remote["parent_id"], remote["budget_tokens"]) == (None, 100)
    (event,) = rows.events(deployed, child.id, "a2a.input_required")
    assert "day" in event["data"]["text"]
    child.signal("input", "Monday")
    assert task.result(timeout=60) == [[{"text": "Rome", "day": "Monday"}], None, 5]


def test_a_cancelled_task_cancels_that_of_another_deployment(deployed: AgentTasks, gateway: str) -> None:
    task = deployed.submit("guided", {"url": gateway, "text": "Oslo"})
    asked(deployed, task)
    task.cancel("not needed")
    eventually(lambda: remote_of(deployed)["status"] == "cancelled")


def test_a_refusal_of_ours_is_the_childs_error(deployed: AgentTasks, gateway: str) -> None:
    task = deployed.submit("travel", {"url": gateway, "inputs": [{"parts": [{"url": "https://x.example/file"}]}]})
    (outcome,) = task.result(timeout=60)
    assert outcome["status"] == "failed"
    assert "refuses the request" in outcome["error"]


def test_an_agent_of_ours_is_a_tool_over_mcp(deployed: AgentTasks, gateway: str) -> None:
    task = deployed.submit("asks_tool", {"url": f"{gateway}/mcp", "tool": "guide", "arguments": {"text": "Bergen"}})
    eventually(lambda: [child.snapshot().agent for child in task.children()] == ["mcp-watch"])
    remote = eventually(lambda: (row := remote_of(deployed))["status"] == "waiting" and row)
    deployed.get(remote["id"]).signal("day", "Friday")
    assert task.result(timeout=60)["data"] == {"text": "Bergen", "day": "Friday"}


def test_a_cancelled_task_cancels_the_tools_task_of_another_deployment(deployed: AgentTasks, gateway: str) -> None:
    task = deployed.submit("asks_tool", {"url": f"{gateway}/mcp", "tool": "guide", "arguments": {"text": "Narvik"}})
    eventually(lambda: [child.snapshot().step for child in task.children()] == ["watch"])
    task.cancel("not needed")
    eventually(lambda: remote_of(deployed)["status"] == "cancelled")


def test_arguments_that_an_agent_of_ours_does_not_take_are_invalid_input(deployed: AgentTasks, gateway: str) -> None:
    task = deployed.submit("asks_tool", {"url": f"{gateway}/mcp", "tool": "guide", "arguments": {"place": "Rome"}})
    error = task.wait(timeout=60).error
    assert error is not None
    assert error.type == "invalid_input"

"""The operator's tools: shown to those with the scope, and doing what their token may."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("mcp")

from agent_tasks import Identity
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.mcp import Host

ANA = Identity(subject="ana", tenant="acme")
TOOLS = {"search", "why_waiting", "signal", "cancel", "resume", "tree"}


def host(door: Gateway, subject: str = "ana", scopes: Any = ("admin:mcp",), tenant: str = "acme") -> Host:
    return Host(door.url, door.client.create_key(tenant=tenant, subject=subject, scopes=scopes).key)


@pytest.fixture(scope="module")
def agent(door: Gateway) -> Host:
    """A coding agent with Ana's name, that may operate and nothing else."""
    return host(door)


@pytest.fixture
def task(door: Gateway) -> str:
    """One of Ana's that waits for an approval."""
    made = door.client.submit("asking_mcp", {"text": "tides"}, identity=ANA)
    eventually(lambda: made.stored().status == "waiting")
    return str(made.id)


def use(host: Host, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    result = host.call(tool, arguments)
    assert result["isError"] is False, result
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    return result["structuredContent"]


def refused(host: Host, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    result = host.call(tool, arguments)
    assert result["isError"] is True, result
    return result["structuredContent"]["error"]


def test_they_are_shown_to_those_who_may_use_them(door: Gateway, ana: Host) -> None:
    def shown(host: Host) -> set[str]:
        return {tool["name"] for tool in host.result("tools/list")["tools"]} & TOOLS

    assert shown(ana) == set()
    assert shown(host(door, scopes=["tasks:read", "admin:mcp"])) == TOOLS
    assert shown(host(door, "root", ["admin"], "ops")) == TOOLS
    for tool in TOOLS:
        answer = ana.ask("tools/call", {"name": tool, "arguments": {}})
        assert answer.status_code == 403
        assert 'scope="admin:mcp"' in answer.headers["www-authenticate"]


def test_why_a_task_waits_is_said_in_a_sentence_and_with_the_schema_of_its_answer(agent: Host, task: str) -> None:
    said = use(agent, "why_waiting", {"task_id": task})
    assert said["why"].startswith("It waits for signal approval since ")
    assert said["waiting_for"]["names"] == ["approval"]
    assert set(said["payload_schema"]["properties"]) == {"ok", "remark", "size"}


def test_a_task_is_found_signalled_and_shown(door: Gateway, agent: Host, task: str) -> None:
    page = use(agent, "search", {"agent": "asking_mcp", "status": "waiting", "limit": 100})
    assert task in [found["id"] for found in page["tasks"]]
    receipt = use(agent, "signal", {"task_id": task, "name": "approval", "payload": {"ok": True}, "signal_id": "a"})
    assert receipt["delivered"] is True
    assert door.client.get(task).wait(20).status == "completed"
    assert use(agent, "why_waiting", {"task_id": task})["why"] == "It has completed."
    tree = use(agent, "tree", {"task_id": task})
    assert (tree["snapshot"]["id"], tree["children"]) == (task, [])


def test_a_task_is_cancelled_and_resumed(door: Gateway, agent: Host, task: str) -> None:
    assert use(agent, "cancel", {"task_id": task, "reason": "no need"})["status"] == "cancelled"
    assert "no need" in use(agent, "why_waiting", {"task_id": task})["why"]
    resumed = use(agent, "resume", {"task_id": task, "budget": {"seconds": 60}})
    assert resumed["resumed_from"] == task
    assert resumed["budget"]["limit"]["seconds"] == 60
    operations = [entry.operation for entry in door.client.audit(door="mcp", subject="ana", limit=10)]
    assert operations[:2] == ["resume", "cancel"]
    door.client.get(resumed["id"]).cancel()


def test_a_paused_task_says_who_paused_it(door: Gateway, agent: Host, task: str) -> None:
    door.client.pause(door.client.get(task), reason="the press is closed", identity=ANA)
    assert "paused by" in use(agent, "why_waiting", {"task_id": task})["why"]
    assert "the press is closed" in use(agent, "why_waiting", {"task_id": task})["why"]
    door.client.resume_paused(door.client.get(task), identity=ANA)


@pytest.mark.parametrize("tool", sorted(TOOLS - {"search"}))
def test_tasks_of_others_are_not_there(door: Gateway, task: str, tool: str) -> None:
    more = {"name": "approval", "payload": {"ok": True}} if tool == "signal" else {}
    scopes = [*EVERYTHING, "admin:mcp", "tasks:all"]
    for stranger in (host(door, "bob"), host(door, "ana", scopes, tenant="evil")):
        error = refused(stranger, tool, {"task_id": task, **more})
        assert error["type"] == "invalid_input"
        assert "No task" in error["message"]
    assert door.client.get(task).stored().status == "waiting"


def test_tasks_of_others_are_not_found(door: Gateway, task: str) -> None:
    assert use(host(door, "bob"), "search", {"text": task})["tasks"] == []
    boss = host(door, "boss", ["admin:mcp", "tasks:all"])
    assert [found["id"] for found in use(boss, "search", {"text": task})["tasks"]] == [task]


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("search", {"status": "lost"}, "status"),
        ("search", {"limit": 1000}, "limit"),
        ("search", {"colour": "red"}, "colour"),
        ("why_waiting", {}, "task_id"),
        ("cancel", {"task_id": 3}, "task_id"),
        ("resume", {"task_id": "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77", "budget": {"seconds": -1}}, "budget.seconds"),
    ],
)
def test_wrong_arguments_are_named(agent: Host, tool: str, arguments: dict[str, Any], field: str) -> None:
    error = refused(agent, tool, arguments)
    assert error["type"] == "invalid_input"
    assert field in error["message"]

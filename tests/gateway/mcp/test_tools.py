"""Tools: which there are, and what calls of them are answered with."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.mcp import LEGACY, TASKS, Host


@pytest.fixture(scope="module")
def plain(door: Gateway, token: str) -> Host:
    """A host that knows no extension."""
    return Host(door.url, token, capabilities={})


@pytest.fixture(scope="module")
def old(door: Gateway, token: str) -> Host:
    """A host of the revision before."""
    return Host(door.url, token, version=LEGACY)


def tools_of(host: Host) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in host.result("tools/list")["tools"]}


def test_each_agent_is_a_tool_by_its_name_its_goal_and_the_input_of_its_first_step(ana: Host) -> None:
    tool = tools_of(ana)["repeats"]
    assert tool["description"] == "Gives back what it is given."
    assert tool["inputSchema"]["type"] == "object"
    assert tool["inputSchema"]["required"] == ["text"]
    assert set(tool["inputSchema"]["properties"]) == {"text", "times"}


def test_an_agent_is_renamed_described_and_annotated_or_hidden(ana: Host) -> None:
    tools = tools_of(ana)
    assert tools["count.words"]["description"] == "Counts words."
    assert tools["count.words"]["annotations"] == {"readOnlyHint": True}
    assert "counts_words" not in tools
    assert "hidden" not in tools
    assert ana.call("count.words", {"text": "to be or"})["structuredContent"] == {"words": 3}
    for name in ("hidden", "counts_words", "nothing of the kind"):
        assert ana.error("tools/call", {"name": name})["code"] == -32602


def test_an_agent_without_a_goal_is_described_by_what_its_first_step_says(ana: Host) -> None:
    assert tools_of(ana)["laborious"]["description"] == "Work for as long as a file is there."
    assert tools_of(ana)["any_json"]["description"] == "The agent any_json."


def test_a_tool_whose_agent_needs_a_scope_is_shown_to_those_who_have_it(door: Gateway, ana: Host) -> None:
    assert "guarded" not in tools_of(ana)
    assert ana.error("tools/call", {"name": "guarded"})["data"]["type"] == "permission_denied"
    key = door.client.create_key(tenant="acme", subject="eve", scopes=[*EVERYTHING, "vault"]).key
    eve = Host(door.url, key)
    assert "guarded" in tools_of(eve)
    assert eve.call("guarded")["content"] == [{"type": "text", "text": "open"}]


def test_the_server_says_who_it_is_and_that_it_knows_tasks(ana: Host) -> None:
    said = ana.result("server/discover")
    assert said["capabilities"] == {"extensions": {TASKS: {}}, "tools": {"listChanged": False}}
    assert said["supportedVersions"] == ["2026-07-28"]
    assert said["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "agent-tasks"


def test_a_call_that_ends_soon_is_answered_with_its_result(ana: Host) -> None:
    result = ana.call("repeats", {"text": "tides"})
    assert result["resultType"] == "complete"
    assert result["content"] == [{"type": "text", "text": "tides"}]
    assert result["isError"] is False


@pytest.mark.parametrize(
    ("value", "text", "structured"),
    [("tides", "tides", None), ({"a": [1]}, '{"a": [1]}', {"a": [1]}), ([1], "[1]", None), (None, "null", None)],
)
def test_a_result_is_text_and_an_object_is_structured_too(ana: Host, value: Any, text: str, structured: Any) -> None:
    result = ana.call("any_json", {"value": value})
    assert result["content"][0]["text"] == text
    assert result.get("structuredContent") == structured


def test_a_tool_that_requires_a_task_is_answered_with_one_at_once(ana: Host, tmp_path: Path) -> None:
    holds = tmp_path / "holds"
    holds.touch()
    task = ana.call("laborious", {"text": "tides", "holds": str(holds)})
    assert task["resultType"] == "task"
    assert task["status"] == "working"
    assert ana.get(task["taskId"])["status"] == "working"
    holds.unlink()
    ended = eventually(lambda: seen if (seen := ana.get(task["taskId"]))["status"] == "completed" else None)
    assert ended["resultType"] == "complete"
    assert ended["result"]["content"] == [{"type": "text", "text": "tides"}]
    assert ended["result"]["isError"] is False


def test_a_tool_that_never_becomes_a_task_is_answered_with_its_result(ana: Host) -> None:
    assert ana.call("prompt")["content"][0]["text"] == "at once"


def test_a_task_that_waits_for_a_signal_is_answered_at_once(ana: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})
    assert task["resultType"] == "task"
    assert task["status"] == "input_required"
    ana.cancel(task["taskId"])


def test_a_client_that_knows_no_tasks_gets_the_result(plain: Host, old: Host) -> None:
    for host in (plain, old):
        assert host.call("repeats", {"text": "tides"})["content"] == [{"type": "text", "text": "tides"}]


def test_a_tool_that_requires_a_task_is_refused_to_a_client_that_knows_none(plain: Host, old: Host) -> None:
    for host, status in ((plain, 400), (old, 200)):
        error = host.error("tools/call", {"name": "laborious"})
        assert error["code"] == -32021
        assert error["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        assert error["status"] == status


def test_requests_about_tasks_need_a_client_that_knows_them(ana: Host, plain: Host, old: Host) -> None:
    task = ana.call("laborious")["taskId"]
    for method, more in (("tasks/get", {}), ("tasks/cancel", {}), ("tasks/update", {"inputResponses": {}})):
        error = plain.error(method, {"taskId": task, **more})
        assert (error["code"], error["status"]) == (-32021, 400)
        assert error["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        assert old.error(method, {"taskId": task, **more})["code"] == -32601


def test_what_a_step_raises_is_a_result_that_a_model_can_read(ana: Host) -> None:
    result = ana.call("frozen")
    assert result["isError"] is True
    assert "no such lake" in result["content"][0]["text"]
    assert result["structuredContent"]["error"]["type"] == "step_failed"


def test_an_mcp_error_in_a_step_is_an_error_of_the_protocol(ana: Host, plain: Host, old: Host) -> None:
    for host in (ana, plain, old):
        error = host.error("tools/call", {"name": "frozen", "arguments": {"how": "json-rpc"}})
        assert (error["code"], error["message"], error["data"]) == (-32050, "the lake is frozen", {"depth": 3})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({}, "text"), ({"text": 3}, "text"), ({"text": "a", "texts": 1}, "texts"), ({"tekst": "a"}, "tekst")],
)
def test_arguments_that_do_not_fit_are_a_result_that_a_model_can_mend(
    ana: Host, arguments: dict[str, Any], said: str
) -> None:
    result = ana.call("repeats", arguments)
    assert result["isError"] is True
    assert said in result["content"][0]["text"]
    assert result["structuredContent"]["error"]["type"] == "invalid_input"


def test_a_call_carries_a_budget_a_session_and_a_key(door: Gateway, ana: Host) -> None:
    meta = {
        "agent-tasks/budget": {"seconds": 30, "usd": 0.5},
        "agent-tasks/session": "a talk",
        "agent-tasks/idempotency-key": "once-only",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    first = ana.result("tools/call", {"name": "laborious"}, meta=meta)
    assert door.client.get(first["taskId"]).wait(20).status == "completed"
    later = {**meta, "agent-tasks/budget": {"seconds": 29.5, "usd": 0.5}}  # it counts down while it asks again
    again = ana.result("tools/call", {"name": "laborious"}, meta=later)
    assert (again["resultType"], again["taskId"]) == ("task", first["taskId"])
    seen = door.client.get(first["taskId"]).snapshot()
    assert seen.budget.limit.seconds == 30
    assert seen.budget.limit.usd == 0.5
    assert seen.session_id == "a talk"
    assert seen.identity is not None
    assert (seen.identity.subject, seen.identity.tenant) == ("ana", "acme")
    assert (seen.traceparent or "").split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    other = ana.error("tools/call", {"name": "laborious", "arguments": {"text": "other"}}, meta=meta)
    assert other["code"] == -32602


@pytest.mark.parametrize("budget", [{"seconds": -1}, {"dollars": 1}, "much"])
def test_a_budget_that_is_none_is_an_error_of_the_request(ana: Host, budget: Any) -> None:
    error = ana.error("tools/call", {"name": "laborious"}, meta={"agent-tasks/budget": budget})
    assert error["code"] == -32602
    assert "budget" in error["message"]


def test_the_audit_knows_that_a_task_came_over_mcp(door: Gateway, ana: Host) -> None:
    task = ana.call("laborious")["taskId"]
    (entry,) = [entry for entry in door.client.audit(door="mcp", limit=20) if str(entry.task_id) == task]
    assert (entry.operation, entry.subject, entry.tenant) == ("submit", "ana", "acme")

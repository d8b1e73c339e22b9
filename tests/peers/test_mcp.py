"""`ctx.mcp`: a tool of an MCP server is called once; a task that the server makes of it is awaited by a parked step."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("mcp")

from agent_tasks import AgentTasks, Budget, ErrorType, Identity, TaskHandle
from tests import rows
from tests.eventually import eventually
from tests.peers.mcp_peer import McpPeer, mcp_peer


@pytest.fixture
def peer() -> Iterator[McpPeer]:
    with mcp_peer() as peer:
        yield peer


def watch_of(task: TaskHandle) -> TaskHandle | None:
    """The child that waits for the server's task, once it does."""
    children = task.children()
    return children[0] if children and children[0].snapshot().waiting_for is not None else None


def error_of(task: TaskHandle) -> Any:
    error = task.wait(timeout=30).error
    assert error is not None, task.snapshot()
    return error


@pytest.mark.parametrize("agent", ["asks_tool", "asks_tool_plainly"])
def test_a_tool_is_called_once_and_its_result_is_recorded(deployed: AgentTasks, peer: McpPeer, agent: str) -> None:
    task = deployed.submit(agent, {"url": peer.url, "tool": "echo", "arguments": {"word": "tide"}})
    result = task.result(timeout=30)
    assert result == (
        "heard tide" if agent != "asks_tool" else {"text": "heard tide", "data": {"word": "tide"}, "tokens": 7}
    )
    assert [call["arguments"] for call in peer.calls] == [{"word": "tide"}]
    (call,) = rows.calls(deployed, task.id)
    assert (call["name"], call["status"]) == ("mcp:echo", "completed")
    spent = rows.task(deployed, task.id)
    assert (spent["spent_tokens"], float(spent["spent_usd"])) == (7, 0.25)


def test_a_server_is_told_the_key_of_the_call_and_what_is_left(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit(
        "asks_tool",
        {"url": peer.url, "tool": "echo", "arguments": {"word": "a"}},
        budget=Budget(seconds=100, tokens=50),
    )
    task.result(timeout=30)
    (call,) = peer.calls
    (recorded,) = rows.calls(deployed, task.id)
    assert call["meta"]["agent-tasks/idempotency-key"] == recorded["idempotency_key"]
    budget = call["meta"]["agent-tasks/budget"]
    assert budget["tokens"] == 50
    assert 0 < budget["seconds"] <= 100
    assert task.id.hex not in str(call["meta"]["agent-tasks/budget"])


@pytest.mark.parametrize("agent", ["asks_tool", "asks_tool_plainly"])
def test_a_task_of_the_server_is_awaited_by_a_parked_step(deployed: AgentTasks, peer: McpPeer, agent: str) -> None:
    task = deployed.submit(agent, {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task) and len(peer.looks) > 2)
    assert rows.task(deployed, task.id)["worker"] is None
    peer.finish("task-1")
    result = task.result(timeout=30)
    assert (result if agent != "asks_tool" else result["text"]) == "end of task-1"
    assert len(peer.calls) == 1
    assert peer.cancelled == []


def test_a_cancelled_task_cancels_the_servers(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task))
    task.cancel("not needed")
    assert eventually(lambda: peer.cancelled) == ["task-1"]
    (child,) = task.children()
    assert eventually(lambda: child.snapshot().error) is not None
    eventually(lambda: child.snapshot().status == "cancelled")


@pytest.mark.parametrize("agent", ["asks_tool", "asks_tool_plainly"])
def test_a_task_that_is_cancelled_before_the_answer_cancels_what_the_server_has_begun(
    deployed: AgentTasks, peer: McpPeer, agent: str
) -> None:
    peer.may_go_on.clear()
    task = deployed.submit(agent, {"url": peer.url, "tool": "slow"})
    eventually(lambda: peer.tasks)
    assert task.cancel("not needed").status == "cancelled"
    peer.may_go_on.set()
    assert eventually(lambda: peer.cancelled) == ["task-1"]
    assert task.children() == []


def test_a_call_is_known_by_its_key_in_whatever_order_the_next_try_makes_it(
    deployed: AgentTasks, peer: McpPeer
) -> None:
    assert deployed.submit("asks_tool_by_keys", {"url": peer.url}).result(timeout=30) == {"a": "1st", "b": "2nd"}
    assert len({call["meta"]["agent-tasks/idempotency-key"] for call in peer.calls}) == len(peer.calls) == 2


def test_a_call_is_tried_again_as_its_retry_says_and_under_the_same_key(deployed: AgentTasks, peer: McpPeer) -> None:
    error = error_of(deployed.submit("asks_tool_until_it_answers", {"url": peer.url, "attempts": 2}))
    assert (error.type, len(peer.calls)) == ("upstream_unavailable", 2)
    peer.calls.clear()
    task = deployed.submit("asks_tool_until_it_answers", {"url": peer.url, "attempts": 3})
    assert task.result(timeout=30) == "heard at last"
    assert [len({call["meta"]["agent-tasks/idempotency-key"] for call in peer.calls}), len(peer.calls)] == [1, 3]
    assert [call["status"] for call in rows.calls(deployed, task.id)] == ["failed", "failed", "completed"]


def test_a_task_that_goes_on_from_a_cancelled_one_has_the_tool_called_anew(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task))
    task.cancel("for now")
    eventually(lambda: all(child.snapshot().status.is_terminal for child in task.children()))
    again = task.resume()
    eventually(lambda: len(peer.tasks) == 2 and peer.finish("task-2") is None)
    assert again.result(timeout=30)["text"] == "end of task-2"


def test_a_budget_that_has_nothing_left_for_children_is_enough_for_tasks_of_a_server(
    deployed: AgentTasks, peer: McpPeer
) -> None:
    task = deployed.submit("goes_on", {"url": peer.url})
    eventually(lambda: len(peer.tasks) == 2)
    for task_id in list(peer.tasks):
        peer.finish(task_id)
    *ends, failure = task.result(timeout=30)
    assert sorted(ends) == ["end of task-1", "end of task-2"]
    assert "no such table" in failure
    row = rows.task(deployed, task.id)
    assert (row["reserved_tokens"], row["spent_calls"]) == (0, 3)


def test_a_question_of_the_servers_task_is_answered_by_a_signal(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task))
    asked = {"method": "elicitation/create", "params": {"message": "How many?"}}
    peer.tasks["task-1"] |= {"status": "input_required", "inputRequests": {"q1": asked}}
    (child,) = task.children()
    waits = eventually(lambda: [w for w in [child.snapshot().waiting_for] if w and w.names == ["input"]])
    assert waits[0].kind == "signal"
    (event,) = rows.events(deployed, child.id, "mcp.input_required")
    assert event["data"] == {"tool": "slow", "signal": "input", "requests": {"q1": asked}}
    child.signal("input", {"seats": 4})
    assert eventually(lambda: peer.updates) == [{"q1": {"action": "accept", "content": {"seats": 4}}}]
    peer.tasks["task-1"] = {"status": "working"}
    peer.finish("task-1")
    assert task.result(timeout=30)["text"] == "end of task-1"
    assert len(peer.updates) == 1


def test_a_question_before_the_call_is_answered_by_a_signal(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "seats"})
    eventually(lambda: task.snapshot().waiting_for)
    (event,) = rows.events(deployed, task.id, "mcp.input_required")
    assert event["data"]["requests"]["q1"]["params"]["message"] == "How many?"
    task.signal("input", {"action": "accept", "content": {"seats": 2}})
    assert task.result(timeout=30)["text"] == "accept {'seats': 2} half"
    assert len(peer.calls) == 2


@pytest.mark.parametrize(
    ("ending", "type_", "said"),
    [
        ({"status": "failed", "error": {"code": -32603, "message": "disk full"}}, "upstream_unavailable", "disk full"),
        ({"status": "failed", "error": {"code": 7, "message": "odd"}}, "step_failed", "odd"),
        ({"status": "cancelled", "statusMessage": "by its owner"}, "step_failed", "by its owner"),
        ({"status": "completed", "result": {"content": [], "isError": True}}, "step_failed", "The tool slow"),
        ({"status": "asleep"}, "step_failed", "'asleep'"),
    ],
)
def test_an_end_of_the_servers_task_is_the_steps_error(
    deployed: AgentTasks, peer: McpPeer, ending: dict[str, Any], type_: str, said: str
) -> None:
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task))
    peer.tasks["task-1"] = ending
    error = error_of(task)
    assert error.type == type_
    assert said in error.message


def test_a_server_that_has_lost_its_task_is_told_of(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task))
    del peer.tasks["task-1"]
    error = error_of(task)
    assert error.type == ErrorType.CONTEXT_LOST
    assert "knows the task task-1 of slow no more" in error.message


def test_a_failure_that_ends_a_try_has_the_tool_called_anew(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit("asks_tool_again", {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task))
    peer.tasks["task-1"] = {"status": "failed", "error": {"code": -32603, "message": "disk full"}}
    eventually(lambda: len(peer.tasks) == 2)
    peer.finish("task-2")
    assert task.result(timeout=30) == "end of task-2"
    assert len(peer.calls) == 2


@pytest.mark.parametrize(
    ("tool", "arguments", "type_", "said"),
    [
        ("fault", {}, "step_failed", "no such table"),
        ("wrong", {"code": -32602}, "invalid_input", "it is not so"),
        ("wrong", {"code": -32603}, "upstream_unavailable", "it is not so"),
        ("wrong", {"code": 12}, "step_failed", "it is not so"),
        ("large", {"bytes": 9_000_000}, "payload_too_large", "more than 8,388,608 bytes"),
        ("large", {"bytes": 2_000_000}, "payload_too_large", "mcp:large"),
    ],
)
def test_an_error_of_the_server_is_the_steps(
    deployed: AgentTasks, peer: McpPeer, tool: str, arguments: dict[str, Any], type_: str, said: str
) -> None:
    error = error_of(deployed.submit("asks_tool", {"url": peer.url, "tool": tool, "arguments": arguments}))
    assert error.type == type_
    assert said in error.message


@pytest.mark.parametrize(
    ("status", "type_"), [(401, "permission_denied"), (403, "permission_denied"), (503, "upstream_unavailable")]
)
def test_a_status_is_the_steps_error(deployed: AgentTasks, peer: McpPeer, status: int, type_: str) -> None:
    peer.refuses_with = status
    error = error_of(deployed.submit("asks_tool", {"url": peer.url, "tool": "echo"}))
    assert (error.type, error.details["status"]) == (type_, status)


def test_no_redirect_is_followed(deployed: AgentTasks, peer: McpPeer) -> None:
    error = error_of(deployed.submit("asks_tool", {"url": peer.url.replace("/mcp", "/moved"), "tool": "echo"}))
    assert error.type == "invalid_input"
    assert "redirect" in error.message
    assert peer.calls == []


def test_nobody_at_the_address_is_upstream_unavailable(deployed: AgentTasks) -> None:
    error = error_of(deployed.submit("asks_tool", {"url": "http://127.0.0.1:1/mcp", "tool": "echo"}))
    assert error.type == "upstream_unavailable"
    assert "cannot be reached" in error.message


def test_a_server_that_is_away_is_looked_at_again_later(deployed: AgentTasks, peer: McpPeer) -> None:
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "slow"})
    eventually(lambda: watch_of(task))
    (child,) = task.children()
    peer.refuses_with = 503
    eventually(lambda: rows.task(deployed, child.id)["failures"] > 0)
    peer.refuses_with = None
    peer.finish("task-1")
    assert task.result(timeout=60)["text"] == "end of task-1"


def test_an_agent_calls_only_the_tools_that_it_declares(deployed: AgentTasks, peer: McpPeer) -> None:
    assert deployed.submit("forbidden_tool", {"url": peer.url, "tool": "echo"}).result(timeout=30) == "heard a"
    error = error_of(deployed.submit("forbidden_tool", {"url": peer.url, "tool": "slow"}))
    assert error.type == "permission_denied"
    assert len(peer.calls) == 1


def test_headers_are_sent_with_each_request_and_recorded_nowhere(deployed: AgentTasks, peer: McpPeer) -> None:
    identity = Identity(subject="ana", tenant="acme")
    task = deployed.submit("asks_with_key", {"url": peer.url}, identity=identity)
    eventually(lambda: watch_of(task))
    peer.finish("task-1")
    assert task.result(timeout=30) == "end of task-1"
    assert [one["authorization"] for one in peer.headers] == ["Bearer secret-of-ana"]
    tables = rows.query(deployed, "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'agent_tasks'")
    assert len(tables) > 10
    for table in tables:
        sql = f"SELECT FROM agent_tasks.{table['relname']} AS t WHERE t::text LIKE '%%secret-of%%'"
        assert rows.query(deployed, sql) == []


def test_the_agent_that_waits_cannot_be_submitted(deployed: AgentTasks) -> None:
    with pytest.raises(ValueError, match="No agent is named 'mcp-watch'"):
        deployed.submit("mcp-watch", {"url": "http://127.0.0.1/", "remote": "x"})
    assert "mcp-watch" not in [agent.name for agent in deployed.agents()]


def test_a_server_of_before_2026_is_called_by_its_own_revision(deployed: AgentTasks, peer: McpPeer) -> None:
    peer.is_of_2025 = True
    task = deployed.submit("asks_tool", {"url": peer.url, "tool": "echo", "arguments": {"word": "a"}})
    assert task.result(timeout=30)["text"] == "heard a"
    assert [one["mcp-protocol-version"] for one in peer.headers] == ["2025-11-25"]

"""Programs elsewhere: how they are named, when they are looked at, and what is made of their words."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import A2AAgent, Child, Identity, InvalidInput, McpResult, McpServer, StepFailed
from agent_tasks.authoring.peers import wire
from agent_tasks.authoring.peers.a2a_answers import failure_of, message_of, result_of, usage_of
from agent_tasks.authoring.peers.carried import spent_of
from agent_tasks.authoring.peers.mcp_answers import responses
from agent_tasks.authoring.peers.mcp_result import failure_of as tool_failure
from agent_tasks.authoring.peers.own import OWN, own_agent
from agent_tasks.authoring.peers.pace import next_look, seconds_of
from agent_tasks.wires.limits import error_of


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: McpServer("ftp://a.example"), "of http or https"),
        (lambda: McpServer("https://"), "with a host"),
        (lambda: McpServer("https://a.example:99999"), "cannot be read"),
        (lambda: McpServer("https://ana:x@a.example"), "without credentials"),
        (lambda: McpServer("https://a.example/#x"), "without a fragment"),
        (lambda: McpServer("https://a.example/\n"), "of http or https"),
        (lambda: McpServer("https://a.example", headers={"a": 1}), "a mapping of text to text"),  # type: ignore[dict-item]
        (lambda: McpServer("https://a.example", timeout=0), "above zero"),
        (lambda: McpServer("https://a.example", answer_bytes=1), "from 1024"),
        (lambda: A2AAgent("https://a.example", hosts=["b.example"]), "of http or https"),
        (lambda: A2AAgent("https://a.example", skill=""), "skill"),
    ],
)
def test_what_names_no_program_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        make()


def test_a_program_is_found_by_its_address_where_it_is_declared() -> None:
    declared = McpServer("https://found.example/mcp", headers={"a": "b"}, timeout=timedelta(seconds=5))
    assert McpServer.at("https://found.example/mcp", declared=True) is declared
    assert McpServer.of("https://found.example/mcp") is declared
    assert A2AAgent.at("https://found.example/mcp").has_headers is False
    with pytest.raises(InvalidInput, match="knows no headers for https://lost"):
        McpServer.at("https://lost.example/mcp", declared=True)
    assert "b" not in repr(declared).replace("found", "")


def test_headers_may_depend_on_whom_the_task_is_for() -> None:
    async def later(identity: Identity | None) -> dict[str, str]:
        return {"x": "nobody" if identity is None else identity.subject}

    ana = Identity(subject="ana", tenant="acme")
    for headers in (later, lambda identity: {"x": identity.subject}, {"x": "ana"}):
        assert asyncio.run(McpServer("https://a.example", headers=headers).headers_for(ana)) == {"x": "ana"}  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="no mapping of text to text"):
        asyncio.run(McpServer("https://a.example", headers=lambda _: [1]).headers_for(None))  # type: ignore


@pytest.mark.parametrize(
    ("waited", "asked", "seconds"),
    [
        (0, None, 1),
        (0, 5, 5),
        (100, 5, 10),
        (100, None, 10),
        (1e6, None, 300),
        (1e6, 600, 600),
        (0, 1e9, 3600),
        (0, 0.001, 0.1),
    ],
)
def test_a_look_comes_a_tenth_of_the_time_later(waited: float, asked: float | None, seconds: float) -> None:
    assert next_look(waited, asked) == seconds


def test_an_interval_that_is_none_is_not_kept_to() -> None:
    assert [seconds_of(given) for given in (1500, 0, -1, True, "5", None)] == [1.5, None, None, None, None, None]


@pytest.mark.parametrize(
    ("payload", "given"),
    [
        ({"seats": 2}, {"q": {"action": "accept", "content": {"seats": 2}}}),
        ({"q": {"seats": 2}}, {"q": {"action": "accept", "content": {"seats": 2}}}),
        ({"action": "decline"}, {"q": {"action": "decline"}}),
        (None, {"q": {"action": "decline"}}),
        (3, {"q": {"action": "accept", "content": {"value": 3}}}),
    ],
)
def test_an_answer_is_brought_into_the_protocols_form(payload: Any, given: dict[str, Any]) -> None:
    assert responses({"q": {}}, payload) == given


def test_answers_to_some_of_several_questions_are_those() -> None:
    assert responses({"a": {}, "b": {}}, {"b": {"x": 1}}) == {"b": {"action": "accept", "content": {"x": 1}}}


def test_an_input_is_text_or_data_or_the_protocols_own() -> None:
    assert message_of("hi") == {"parts": [{"text": "hi"}]}
    assert message_of({"a": 1}) == {"parts": [{"data": {"a": 1}}]}
    whole = {"parts": [{"text": "a"}], "metadata": {"m": 1}, "contextId": "c"}
    assert message_of({**whole, "taskId": "ignored"}) == whole


def test_a_result_is_what_the_artifacts_hold_else_what_the_status_says() -> None:
    parts = [{"text": "a"}, {"text": "b"}, {"data": {"n": 2.0}}, {"raw": "eA=="}]
    found = result_of({"id": "t", "contextId": "c", "artifacts": [{"parts": parts}]})
    assert found == {
        "text": "a\n\nb", "data": [{"n": 2}], "files": [{"raw": "eA=="}], "task_id": "t", "context_id": "c"
    }  # fmt: skip
    assert result_of({"id": "t", "status": {"message": {"parts": [{"text": "done"}]}}})["text"] == "done"


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({"agent-tasks/usage": {"tokens": 3, "usd": 0.5}}, (3, 0.5)),
        ({"agent-tasks": {"budget": {"spent": {"tokens": 4.0}}}}, (4, 0.0)),
        ({"agent-tasks/usage": {"tokens": -3, "usd": "much"}}, (0, 0.0)),
        ({"agent-tasks": 5}, (0, 0.0)),
        (None, (0, 0.0)),
    ],
)
def test_what_an_agent_says_that_it_spent_is_read(metadata: Any, usage: tuple[int, float]) -> None:
    assert usage_of({"metadata": metadata}) == usage


@pytest.mark.parametrize(
    "usage", [None, 5, {}, {"tokens": -1}, {"tokens": "3"}, {"usd": float("nan")}, {"tokens": True}]
)
def test_usage_that_cannot_be_counted_is_none(usage: Any) -> None:
    assert spent_of({"agent-tasks/usage": usage}) is None


def test_usage_of_a_tool_is_counted() -> None:
    spent = spent_of({"agent-tasks/usage": {"tokens": 3, "usd": 1}})
    assert spent is not None
    assert (spent.tokens, spent.price()) == (3, 1.0)


def test_typed_errors_of_another_deployment_keep_what_they_say_of_a_retry() -> None:
    again = {"type": "upstream_unavailable", "message": "away", "retryable": True, "retry_after": 7}
    parts = [{"text": "away"}, {"data": {"error": again}}]
    error = failure_of({"status": {"state": "TASK_STATE_FAILED", "message": {"parts": parts}}}, "https://a.example")
    assert (error.info.type, error.retry_after) == ("upstream_unavailable", 7)
    tool = tool_failure(McpResult(text="away", data={"error": again}, is_error=True), "t", "https://a.example")
    assert (tool.info.type, tool.retry_after, tool.details["error"]["message"]) == ("upstream_unavailable", 7, "away")
    other = tool_failure(McpResult(text="x", data={"error": {"odd": 1}}, is_error=True), "t", "https://a.example")
    assert other.info.type == "step_failed"


def test_a_child_elsewhere_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match=r"pip install 'agent-tasks\[a2a\]'"):
        Child(a2a="https://a.example", input="hi")


@pytest.mark.parametrize("name", sorted(OWN))
def test_each_own_agent_is_there_and_is_own(name: str) -> None:
    pytest.importorskip(OWN[name][0])
    found = own_agent(name)
    assert (found.name, found.is_own) == (name, True)


@pytest.mark.parametrize("value", ["Bearer secret\n", " secret", "secret ", "se\rcret", "sécret", "se\x00cret"])
def test_a_header_that_cannot_be_sent_is_refused_by_its_name_alone(value: str) -> None:
    peer = McpServer("https://tools.example/mcp", headers={"Authorization": value})
    with pytest.raises(InvalidInput, match="'Authorization'") as refused:
        asyncio.run(peer.headers_for(None))
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_an_answer_that_would_be_inflated_is_refused(encoding: str) -> None:
    error = error_of("https://tools.example/mcp", 200, {"content-encoding": encoding})
    assert isinstance(error, StepFailed)
    assert error_of("https://tools.example/mcp", 200, {"content-encoding": "identity"}) is None

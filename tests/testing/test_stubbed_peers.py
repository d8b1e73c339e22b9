"""Tools and agents elsewhere in tests of the agents that use them: stubbed by name, nothing is sent."""

import asyncio

import pytest

pytest.importorskip("mcp")
pytest.importorskip("a2a")

from agent_tasks import InvalidInput
from agent_tasks.testing import FakeContext, Kit, UnexpectedCall
from tests.agents_peers import asks_tool

URL = "http://127.0.0.1:9/mcp"
TIDE = {"content": [{"type": "text", "text": "high tide"}], "structuredContent": {"metres": 3}}


def test_a_tool_is_stubbed_by_its_name(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub("mcp:tide", returns=TIDE)
    task = agent_tasks.submit("asks_tool", {"url": URL, "tool": "tide"})
    assert task.result() == {"text": "high tide", "data": {"metres": 3}, "tokens": 0}
    assert len(agent_tasks.calls.made("mcp:tide")) == 1


def test_a_fake_context_has_stubbed_tools_too() -> None:
    ctx = FakeContext()
    ctx.calls.stub("mcp:tide", returns=TIDE)
    assert asyncio.run(asks_tool(ctx, URL, "tide"))["text"] == "high tide"


def test_a_message_to_an_agent_elsewhere_is_stubbed(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub("a2a:send", returns={"message": {"parts": [{"text": "booked"}]}})
    task = agent_tasks.submit("travel", {"url": URL, "inputs": ["a", "b"]})
    assert [one["result"]["text"] for one in task.result()] == ["booked", "booked"]


def test_what_goes_elsewhere_is_refused_without_a_stub(agent_tasks: Kit) -> None:
    with pytest.raises(UnexpectedCall, match=r"stub\('mcp:tide', returns=…\)"):
        agent_tasks.submit("asks_tool", {"url": URL, "tool": "tide"}).result()


def test_a_name_that_is_of_no_protocol_is_refused(agent_tasks: Kit) -> None:
    with pytest.raises(InvalidInput, match="'mcp:TOOL' or 'a2a:send'"):
        agent_tasks.calls.stub("tide", returns=1)

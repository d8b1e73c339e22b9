"""Asking the host's user before there is a task."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("mcp")

from tests.database import query
from tests.gateway import Gateway
from tests.gateway.mcp import LEGACY, Host, sdk_client

PLACE = {"name": "books_table", "arguments": {"place": "Sole"}}


@pytest.fixture
def tasks_of(door: Gateway) -> Callable[[], int]:
    sql = "SELECT count(*) AS n FROM agent_tasks.tasks WHERE agent = 'books_table'"
    return lambda: query(door.client, sql)[0]["n"]


def answered(host: Host, response: Any) -> dict[str, Any]:
    return host.result("tools/call", {**PLACE, "inputResponses": {"ask": response}})


def test_a_call_is_answered_with_a_form_and_then_with_the_result(ana: Host, tasks_of: Callable[[], int]) -> None:
    tool = next(tool for tool in ana.result("tools/list")["tools"] if tool["name"] == "books_table")
    assert set(tool["inputSchema"]["properties"]) == {"place"}
    assert tool["inputSchema"]["required"] == ["place"]
    before = tasks_of()
    asked = ana.result("tools/call", PLACE)
    assert asked["resultType"] == "input_required"
    request = asked["inputRequests"]["ask"]
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == "Who comes, and when?"
    assert request["params"]["requestedSchema"]["properties"]["seats"]["type"] == "integer"
    assert request["params"]["requestedSchema"]["properties"]["evening"]["type"] == "boolean"
    assert tasks_of() == before
    result = answered(ana, {"action": "accept", "content": {"seats": 4, "evening": True}})
    assert result["structuredContent"] == {"place": "Sole", "seats": 4, "evening": True}
    assert tasks_of() == before + 1


def test_whoever_declines_has_no_task(ana: Host, tasks_of: Callable[[], int]) -> None:
    before = tasks_of()
    for action in ("decline", "cancel"):
        result = answered(ana, {"action": action})
        assert result["isError"] is True
        assert "Nothing was done" in result["content"][0]["text"]
    assert tasks_of() == before


@pytest.mark.parametrize("content", [{}, {"seats": 9, "evening": True}, {"seats": 2, "evening": True, "place": "Luna"}])
def test_an_answer_that_does_not_fit_makes_no_task(
    ana: Host, tasks_of: Callable[[], int], content: dict[str, Any]
) -> None:
    before = tasks_of()
    assert answered(ana, {"action": "accept", "content": content})["isError"] is True
    assert tasks_of() == before


def test_whoever_calls_the_tool_cannot_answer_in_its_users_place(ana: Host) -> None:
    result = ana.call("books_table", {"place": "Sole", "seats": 2})
    assert result["isError"] is True
    assert "its user is asked" in result["content"][0]["text"]


def test_a_client_that_cannot_ask_is_told_what_it_lacks(door: Gateway, token: str) -> None:
    for host in (Host(door.url, token, capabilities={}), Host(door.url, token, version=LEGACY)):
        error = host.error("tools/call", PLACE)
        assert error["code"] == -32021
        assert error["data"] == {"requiredCapabilities": {"elicitation": {"form": {}}}}


def test_the_official_client_asks_its_user_and_goes_on(door: Gateway, token: str) -> None:
    from mcp import types

    asked: list[str] = []

    async def answer(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"seats": 3, "evening": False})

    async def call() -> types.CallToolResult:
        async with sdk_client(door.url, token, elicitation_callback=answer) as client:
            return await client.call_tool("books_table", {"place": "Sole"})

    result = asyncio.run(call())
    assert result.structured_content == {"place": "Sole", "seats": 3, "evening": False}
    assert asked == ["Who comes, and when?"]

"""A host of the official SDK through the whole flow: at several gateways, some of which are killed on the way."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

pytest.importorskip("mcp")

from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.conftest import Fleet
from tests.gateway import Gateway
from tests.gateway.mcp import Host
from tests.gateway.mcp.tasks_extension import Tasks
from tests.processes import Running


class InTurn(httpx2.AsyncBaseTransport):
    """One address behind which several gateways are asked in turn, those that live."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = itertools.cycle([httpx2.URL(url) for url in urls])
        self._inner = httpx2.AsyncHTTPTransport()
        self.asked: set[int | None] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        for _ in range(3):
            url = next(self._urls)
            sent = httpx2.Request(
                request.method,
                request.url.copy_with(host=url.host, port=url.port),
                headers=request.headers,
                content=body,
                extensions=request.extensions,
            )
            try:
                answer = await self._inner.handle_async_request(sent)
            except httpx2.ConnectError:
                continue  # this one was killed: a balancer asks the next
            self.asked.add(url.port)
            return answer
        raise httpx2.ConnectError("all gateways are gone")

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def host(transport: InTurn, token: str, tasks: Tasks) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, transport=transport, timeout=70) as http,
        Client(streamable_http_client("http://agents.example/mcp", http_client=http), extensions=[tasks]) as client,
    ):
        yield client


def yes(request: dict[str, Any]) -> dict[str, Any]:
    assert request["method"] == "elicitation/create"
    assert request["params"]["requestedSchema"]["required"] == ["ok"]
    return {"action": "accept", "content": {"ok": True, "remark": "well done"}}


def result_of(urls: Sequence[str], token: str, tasks: Tasks, text: str) -> tuple[types.CallToolResult, InTurn]:
    transport = InTurn(urls)

    async def flow() -> types.CallToolResult:
        async with host(transport, token, tasks) as client:
            assert client.session.protocol_version == "2026-07-28"
            assert "asking_mcp" in {tool.name for tool in (await client.list_tools()).tools}
            return await client.call_tool("asking_mcp", {"text": text})

    return asyncio.run(flow()), transport


def test_two_gateways_taken_in_turn_serve_one_host(fleet: Fleet, door: Gateway, token: str) -> None:
    _, other = fleet.processes.gateway()
    tasks = Tasks(yes)
    result, transport = result_of([door.url, other], token, tasks, "tides")
    assert result.structured_content == {"text": "tides"}
    assert len(transport.asked) == 2
    assert len(tasks.created) == 1


def test_gateways_are_killed_between_the_call_and_its_result(fleet: Fleet, door: Gateway, token: str) -> None:
    first, url = fleet.processes.gateway()
    second, other = fleet.processes.gateway()
    doomed: list[Running] = [first, second]

    async def kill_one() -> None:
        if doomed:
            await asyncio.to_thread(doomed.pop().kill)

    tasks = Tasks(yes, between=kill_one)
    result, _ = result_of([url, other, door.url], token, tasks, "winds")
    assert result.structured_content == {"text": "winds"}
    assert doomed == []
    seen = door.client.get(tasks.created[0]).stored()
    assert (seen.status, seen.attempt) == ("completed", 1)


def test_a_task_that_a_killed_gateway_has_begun_is_taken_up_by_its_id(fleet: Fleet, door: Gateway, token: str) -> None:
    running, url = fleet.processes.gateway()
    task = Host(url, token).call("asking_mcp", {"text": "currents"})["taskId"]
    running.kill()
    tasks = Tasks(yes)

    async def go_on() -> types.CallToolResult:
        async with host(InTurn([door.url]), token, tasks) as client:
            return await tasks.follow(client.session, task)

    assert asyncio.run(go_on()).structured_content == {"text": "currents"}


@pytest.mark.parametrize("hosts", [25, pytest.param(100, marks=pytest.mark.slow)])
def test_many_hosts_poll_their_tasks_at_once(fleet: Fleet, door: Gateway, token: str, hosts: int) -> None:
    _, other = fleet.processes.gateway()

    async def one(number: int) -> tuple[int, Any]:
        transport, tasks = InTurn([door.url, other]), Tasks(yes)
        async with host(transport, token, tasks) as client:
            result = await client.call_tool("asking_mcp", {"text": f"text {number}"})
        return len(tasks.created), result.structured_content

    async def all_of_them() -> list[tuple[int, Any]]:
        return await asyncio.gather(*(one(number) for number in range(hosts)))

    found = asyncio.run(all_of_them())
    assert found == [(1, {"text": f"text {number}"}) for number in range(hosts)]


def test_the_official_client_is_told_of_progress_of_errors_and_of_tools(
    door: Gateway, token: str, tmp_path: Any
) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def flow() -> tuple[types.CallToolResult, types.CallToolResult]:
        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total, message))
            (tmp_path / f"{progress:g}").touch()

        async with host(InTurn([door.url]), token, Tasks(yes)) as client:
            with pytest.raises(MCPError) as caught:
                await client.call_tool("frozen", {"how": "json-rpc"})
            assert (caught.value.code, caught.value.data) == (-32050, {"depth": 3})
            failed = await client.call_tool("frozen")
            done = await client.call_tool("reporting", {"folder": str(tmp_path)}, progress_callback=hear)
            return failed, done

    failed, done = asyncio.run(flow())
    assert failed.is_error is True
    assert done.content == [types.TextContent(type="text", text="3")]
    assert told == [(part, 3, f"part {part}") for part in (1, 2, 3)]


def test_the_official_client_of_the_revision_before_gets_results(door: Gateway, token: str) -> None:
    from tests.gateway.mcp import sdk_client

    async def flow() -> tuple[set[str], types.CallToolResult]:
        async with sdk_client(door.url, token, "legacy") as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            return tools, await client.call_tool("repeats", {"text": "tides"})

    tools, result = asyncio.run(flow())
    assert "repeats" in tools
    assert result.content == [types.TextContent(type="text", text="tides")]

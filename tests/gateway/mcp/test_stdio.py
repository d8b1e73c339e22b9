"""A host at the other end of a pipe."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("mcp")

from tests.conftest import Fleet
from tests.gateway import Gateway
from tests.processes import ROOT


async def tried(environment: dict[str, str], mode: Literal["auto", "legacy"]) -> tuple[set[str], Any]:
    from mcp import Client, StdioServerParameters

    command = ["-m", "agent_tasks.cli", "mcp", "--stdio"]
    async with Client(
        StdioServerParameters(command=sys.executable, args=command, env=environment, cwd=ROOT), mode=mode
    ) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        return tools, await client.call_tool("repeats", {"text": "tides", "times": 2})


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.slow)])
def test_tools_are_listed_and_called_over_a_pipe(fleet: Fleet, door: Gateway, mode: Literal["auto", "legacy"]) -> None:
    tools, result = asyncio.run(tried(fleet.processes.environment(), mode))
    assert {"repeats", "guarded", "search"} <= tools
    assert result.content[0].text == "tidestides"
    assert result.is_error is False


def test_a_key_says_who_is_at_the_other_end(fleet: Fleet, door: Gateway, token: str) -> None:
    tools, _ = asyncio.run(tried(fleet.processes.environment(mcp_key=token), "auto"))
    assert "repeats" in tools
    assert not {"guarded", "search"} & tools
    (entry, *_) = fleet.client.audit(door="mcp", operation="submit", limit=1)
    assert (entry.subject, entry.tenant, entry.origin) == ("ana", "acme", "stdio")


def test_without_the_option_it_says_how_it_is_used(fleet: Fleet, tmp_path: Path) -> None:
    process = fleet.processes.start(
        "mcp", [sys.executable, "-m", "agent_tasks.cli", "mcp"], fleet.processes.environment()
    )
    assert process.wait_for_exit() == 2
    assert "--stdio" in process.output
    assert "gateway" in process.output

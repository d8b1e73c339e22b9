"""Requests to an agent that speaks A2A: its card, a message, and the task that came of one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types import AgentCard, AgentInterface, CancelTaskRequest, GetTaskRequest, SendMessageRequest
from a2a.utils.constants import VERSION_HEADER
from google.protobuf import json_format

from agent_tasks.authoring.peers.a2a_agent import A2AAgent
from agent_tasks.errors import InvalidInput
from agent_tasks.wires.a2a_errors import told_as_ours
from agent_tasks.wires.a2a_http import client, prepare

_CARD = ".well-known/agent-card.json"
__all__ = ["cancel", "get", "prepare", "send"]
_BINDINGS = ["JSONRPC", "HTTP+JSON"]


async def send(
    agent: A2AAgent, headers: dict[str, str], interface: dict[str, str] | None, request: dict[str, Any]
) -> dict[str, Any]:
    """Send a message, by the address that the card names where that is not known yet; `request` as in the protocol.

    Returns `interface`, and the `task` or the `message` that came of it, as JSON.
    """
    with told_as_ours(agent.url, agent.timeout):
        async with asyncio.timeout(agent.timeout), client(agent, headers) as http:
            found = interface or await _interface(agent, http)
            asked = json_format.ParseDict(request, SendMessageRequest())
            async with _speaking(found, http) as speaking:
                async for event in speaking.send_message(asked):
                    return {"interface": found, **_json(event)}
    raise InvalidInput(f"{agent.url} answers nothing", field="a2a")


async def get(agent: A2AAgent, headers: dict[str, str], interface: dict[str, str], task_id: str) -> dict[str, Any]:
    """Return a task as it stands, as JSON, without its history."""
    with told_as_ours(agent.url, agent.timeout):
        async with _at(agent, headers, interface) as speaking:
            return _json(await speaking.get_task(GetTaskRequest(id=task_id, history_length=0)))


async def cancel(agent: A2AAgent, headers: dict[str, str], interface: dict[str, str], task_id: str) -> None:
    """Ask the agent to cancel a task."""
    with told_as_ours(agent.url, agent.timeout):
        async with _at(agent, headers, interface) as speaking:
            await speaking.cancel_task(CancelTaskRequest(id=task_id))


async def _interface(agent: A2AAgent, http: httpx.AsyncClient) -> dict[str, str]:
    """Return the address that the agent's card names, and how it is spoken to there."""
    base, _, path = agent.url.rpartition("/") if agent.url.endswith(".json") else (agent.url.rstrip("/"), "", _CARD)
    card = await A2ACardResolver(http, base, path).get_agent_card()
    offered = [one for one in card.supported_interfaces if one.protocol_binding in _BINDINGS]
    if not offered:
        raise InvalidInput(f"{agent.url} speaks neither {' nor '.join(_BINDINGS)}, says its card", field="a2a")
    allowed = {_origin(url) for url in (agent.url, *agent.hosts)}
    for one in sorted(offered, key=lambda one: not one.protocol_version.startswith("1.")):
        if _origin(one.url) in allowed:
            named = {"url": one.url, "binding": one.protocol_binding, "version": one.protocol_version}
            return {**named, "tenant": one.tenant} if one.tenant else named
    raise InvalidInput(
        f"The card of {agent.url} names an address of another origin, {offered[0].url}: allow that by "
        f"A2AAgent({agent.url!r}, hosts=[…]) if it is right",
        field="a2a",
    )


@asynccontextmanager
async def _at(agent: A2AAgent, headers: dict[str, str], interface: dict[str, str]) -> AsyncGenerator[Client]:
    async with asyncio.timeout(agent.timeout), client(agent, headers) as http, _speaking(interface, http) as speaking:
        yield speaking


@asynccontextmanager
async def _speaking(interface: dict[str, str], http: httpx.AsyncClient) -> AsyncGenerator[Client]:
    named = AgentInterface(
        url=interface["url"],
        protocol_binding=interface["binding"],
        protocol_version=interface["version"],
        tenant=interface.get("tenant", ""),
    )
    http.headers.setdefault(VERSION_HEADER, "1.0")
    config = ClientConfig(
        streaming=False, polling=True, httpx_client=http, supported_protocol_bindings=[interface["binding"]]
    )
    yield ClientFactory(config).create(AgentCard(supported_interfaces=[named]))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _json(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message)

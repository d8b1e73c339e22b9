"""One host at the other end of a pipe: the same server, without HTTP."""

import logging

import anyio
from mcp.server.stdio import stdio_server

from agent_tasks.authoring.loading import load_agents, why_not_loaded
from agent_tasks.client.client import AgentTasks
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.catalogue import Catalogue
from agent_tasks.gateway.mcp.passage import Passage
from agent_tasks.gateway.mcp.server import make_server
from agent_tasks.settings import Settings

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until the host closes the pipe, as whoever the key of the settings stands for; without one as a trusted
    program. What is logged goes to stderr."""
    auth = "on" if settings.mcp_key else "off"
    gate = Gate(AgentTasks(settings.model_copy(update={"gateway_auth": auth})))
    for name, error in load_agents(settings.agents, settings.bundled).items():
        log.warning("agents left out, %s does not load: %s", name, why_not_loaded(name, error))
    catalogue = Catalogue(gate.agents)
    server = make_server(Passage(gate, catalogue, settings.mcp_key or None), catalogue)

    async def run() -> None:
        gate.start()
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    try:
        anyio.run(run)
    finally:
        gate.close()

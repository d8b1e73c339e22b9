"""The FastAPI app of a gateway."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from agent_tasks.client.client import AgentTasks
from agent_tasks.gateway import (
    agents,
    alerts,
    audit,
    bulk,
    calls,
    deliveries,
    documented,
    events,
    feed,
    health,
    hooks,
    listing,
    logs,
    pausing,
    problems,
    purging,
    schedules,
    spending,
    tasks,
    webhooks,
)
from agent_tasks.gateway.a2a.routes import A2A
from agent_tasks.gateway.agentcore.runtime import AgentCore
from agent_tasks.gateway.console.live import Views
from agent_tasks.gateway.console.routes import router as console
from agent_tasks.gateway.counting import Counting
from agent_tasks.gateway.direct import direct_submit
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.door import McpDoor

_DESCRIPTION = """
Durable tasks of agents: submit one, follow it by polling or events, signal it, cancel it, resume it.

A request names who sends it by `Authorization: Bearer <API key or token>`. Every error is a problem document
(RFC 9457) with the typed error in `error`.
"""


def create_app(client: AgentTasks | None = None, *, only_console: bool = False) -> FastAPI:
    """An app that serves one deployment, by default that of the environment's settings.

    `only_console`: people, and those who look after it; no programs.
    """
    gate = Gate(client or AgentTasks())

    runtime = AgentCore(gate) if gate.settings.agentcore_agent and not only_console else None
    mcp = McpDoor(gate)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        gate.start()
        yield
        gate.close_streams()  # first: a call that is broken off by it is not given up by its caller
        await mcp.close()
        if runtime is not None:
            runtime.close()
        gate.close()

    app = FastAPI(
        title="agent-tasks",
        version=version("agent-tasks"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.gate = gate
    app.state.settings = gate.settings
    problems.install(app)
    app.add_middleware(Counting)
    doors = (
        *(tasks, listing, calls, logs, spending, audit, bulk, pausing, purging, events, agents, schedules),
        *(webhooks, deliveries, feed, alerts, hooks),
    )
    served = (health,) if only_console else (*doors, health)
    pages = console()
    protocols = [] if only_console else [*A2A(gate).routes, *mcp.routes]
    routers = (*(each.router for each in served), health.guarded)
    if not only_console:
        app.router.routes.extend([direct_submit(), *protocols])
    for router in routers:
        app.include_router(router)
    app.include_router(pages)
    app.state.views = Views(gate)
    app.state.routes = [*protocols, *(route for router in (*routers, pages) for route in router.routes)]
    documented.install(app)
    if runtime is not None:
        app.router.default = runtime
    return app

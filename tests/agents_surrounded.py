"""Loaded beside `agents_neighbours`: puts what stands for an ORM, and for a tenant, around all code of a worker."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent_tasks import surround, surround_async
from tests.agents_neighbours import fresh_connections, tenant

surround(fresh_connections)


@surround_async
@asynccontextmanager
async def as_somebody() -> AsyncGenerator[None]:
    token = tenant.set(f"{tenant.get()} and somebody")
    yield
    tenant.reset(token)

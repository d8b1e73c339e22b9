"""/healthz, /readyz and /metrics: whether this process lives, whether it can serve, and what it has served."""

import asyncio
import logging
from collections.abc import Callable

import redis
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent_tasks.gateway.door import doors, gate_of
from agent_tasks.gateway.examples import health as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.shapes import Health, Readiness
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import catalog
from agent_tasks.store.queries.readiness import obstacle

log = logging.getLogger(__name__)
router = APIRouter()
guarded = doors()
_SECONDS = 5.0
"""A server that takes longer to answer does not serve."""


@router.get("/healthz", response_model=Health, responses=examples.healthz, summary="Whether the process lives")
async def healthz() -> Response:
    """200 as long as the process answers at all, whatever of the servers can be reached."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses=examples.readyz, summary="Whether requests can be served")
async def readyz(request: Request) -> Response:
    """200 where Postgres and Redis answer and the schema is at head; else 503, and which of them is not so.

    A deployment without a Redis does without its check. In one that has it tasks are accepted while it is away, but
    none of them would begin.
    """
    gate = gate_of(request)
    asked = {name: check for name, check in _CHECKS.items() if name != "redis" or gate.client.has_redis}
    found = await asyncio.gather(*(_asked(gate, check) for check in asked.values()))
    checks = dict(zip(asked, found, strict=True))
    is_ready = all(answer == "ok" for answer in found)
    return JSONResponse({"status": "ok" if is_ready else "unavailable", "checks": checks}, 200 if is_ready else 503)


@guarded.get(
    "/metrics",
    name="get_metrics",
    response_class=PlainTextResponse,
    responses=examples.get_metrics,
    summary="Metrics for Prometheus",
)
async def get_metrics(request: Request) -> Response:
    """The metrics of this process, and of the deployment's backlog, in Prometheus's text format."""
    text = await gate_of(request).in_thread(lambda gate: generate_latest() + generate_latest(gate.backlog))
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _asked(gate: Gate, check: Callable[[Gate], str]) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            return await gate.in_thread(check)
    except TimeoutError:
        return f"does not answer within {_SECONDS:g} s"
    except (Transient, redis.RedisError) as error:
        log.warning("not ready: %s", error)
        return "cannot be reached"  # why is in the log: whoever asks here is not known


def _postgres(gate: Gate) -> str:
    with gate.client.database.connection() as connection:
        catalog.answers(connection)
    return "ok"


def _redis(gate: Gate) -> str:
    gate.client.redis.ping()
    return "ok"


def _schema(gate: Gate) -> str:
    from agent_tasks.store import migrations  # brings Alembic, whose import takes as long as that of all the rest

    with gate.client.database.connection() as connection:
        found = obstacle(connection, migrations.head())
    if found is None:
        return "ok"
    log.warning("not ready: %s; %s", found.found, found.to_do)
    return f"not at head: run agent-tasks {'migrate' if found.is_behind else 'doctor'}"


_CHECKS: dict[str, Callable[[Gate], str]] = {"postgres": _postgres, "redis": _redis, "schema": _schema}

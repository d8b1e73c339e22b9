"""Endpoints, what they are told of, and deliverers, in this process or killed in their own."""

import asyncio
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from agent_tasks import AgentTasks
from agent_tasks.deployment import Deployment
from agent_tasks.transitions import spend
from agent_tasks.webhooks.deliverer import Deliverer
from tests.database import Row, claimed, query, submitted
from tests.eventually import eventually

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
OLD_SECRET = "whsec_" + b64encode(b"o" * 32).decode()


def endpoint(client: AgentTasks, url: str, tenant: str = "", **columns: Any) -> UUID:
    """An endpoint that a trusted program has registered; `columns` beside its name and URL."""
    values = {"id": uuid4(), "name": str(uuid4()), "url": url, "secret": SECRET, "trusted": True, **columns}
    sql = f"""
        INSERT INTO agent_tasks.webhooks (tenant, {", ".join(values)})
        VALUES (%s, {", ".join(["%s"] * len(values))}) RETURNING id
    """
    return query(client, sql, tenant, *values.values())[0]["id"]


def told(client: AgentTasks, events: int = 0, *, callback: str | None = None) -> UUID:
    """A task that is submitted, and emits so many events named `found`, whose data count from 1."""
    task_id = submitted(client)
    if callback:
        query(client, "UPDATE agent_tasks.tasks SET callback_url = %s WHERE id = %s", callback, task_id)
    emitted(client, task_id, events)
    return task_id


def emitted(client: AgentTasks, task_id: UUID, events: int) -> None:
    if events:
        taken = claimed(client, task_id)
        with client.database.connection() as connection:
            for number in range(events):
                spend.emit(connection, taken, "found", str(number + 1))


def deliveries(client: AgentTasks, task_id: UUID | None = None) -> list[Row]:
    """Those of a task, or all."""
    sql = "SELECT * FROM agent_tasks.deliveries WHERE %s::uuid IS NULL OR task_id = %s ORDER BY lane, task_id, seq"
    return query(client, sql, task_id, task_id)


def statuses(client: AgentTasks, task_id: UUID | None = None) -> set[str]:
    return {row["status"] for row in deliveries(client, task_id)}


@contextmanager
def delivering(client: AgentTasks, *, resolve: Any = None, **settings: Any) -> Iterator[Deliverer]:
    """A deliverer in this process, with short pauses, to which this machine is allowed."""
    values = {"webhook_allow": ("127.0.0.1",), "webhook_retry_scale": 0.001, "webhook_seconds": 5.0, **settings}
    deployment = Deployment(client.settings.model_copy(update=values))
    started: Future[tuple[Deliverer, asyncio.AbstractEventLoop]] = Future()
    failures: list[BaseException] = []

    async def main() -> None:
        deliverer = Deliverer(deployment, resolve=resolve)
        started.set_result((deliverer, asyncio.get_running_loop()))
        try:
            await deliverer.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    deliverer, loop = started.result(10)
    try:
        yield deliverer
    finally:
        loop.call_soon_threadsafe(deliverer.stop)
        thread.join(30)
        deployment.close()
    assert not thread.is_alive()
    assert not failures


def ended_well(client: AgentTasks, timeout: float = 30) -> None:
    """Wait until all is delivered."""
    eventually(lambda: statuses(client) == {"delivered"}, timeout)

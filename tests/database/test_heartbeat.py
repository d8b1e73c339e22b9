"""The heartbeat shares nothing: a pool that is exhausted costs no lease."""

from contextlib import ExitStack
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks
from agent_tasks.authoring import agent as agents
from agent_tasks.authoring.loading import load_agents
from agent_tasks.engine.process.gate import Gate
from agent_tasks.engine.process.heartbeat import Leases
from agent_tasks.engine.process.own_connection import OwnConnection
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.store import session
from agent_tasks.store.errors import Transient
from agent_tasks.transitions.heartbeat import (
    WorkerRecord,
    _bounded,  # pyright: ignore[reportPrivateUsage]
)
from tests.database import claimed, query
from tests.eventually import eventually


def test_a_pool_that_is_exhausted_costs_no_lease(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    load_agents(client.settings.agents)  # now: what is loaded while the registry is another one is gone with it
    ours = {name: agent for name, agent in agents.loaded_agents().items() if agent.module.startswith("tests.agents")}
    monkeypatch.setattr(agents, "_registry", ours)  # unit tests leave agents behind that no worker could register
    narrow = AgentTasks(client.settings.model_copy(update={"pool_size": 2, "lease_seconds": 3.0}))
    taken = claimed(client, lease_seconds=3)
    nothing: Any = None
    operations: Any = SimpleNamespace(flush_progress=lambda: None, warn_of_time=lambda: None)
    active = ActiveRuns()
    active.add(StepRun(taken, nothing, nothing, {}, nothing, operations, quantum_ends=0))
    leases = Leases(narrow, WorkerRecord("w", "here", 1, ("agents",), ("echo.echo",), ("",)), active, gate := Gate())
    leases.start()
    assert gate.wait(30)
    with ExitStack() as all_there_are:
        for _ in range(2):
            all_there_are.enter_context(narrow.database.connection())
        (before,) = query(
            client, "SELECT due_at, clock_timestamp() AS at FROM agent_tasks.tasks WHERE id = %s", taken.id
        )
        kept = "SELECT FROM agent_tasks.tasks WHERE id = %s AND due_at > %s AND clock_timestamp() < due_at"
        for due in (before["due_at"], before["at"] + timedelta(seconds=5)):
            eventually(lambda due=due: query(client, kept, taken.id, due))
        assert gate.is_open
    leases.stop()
    narrow.close()


def test_a_worker_that_is_stopped_within_its_heartbeat_holds_its_rows_no_longer_than_a_beat_may_take(
    client: AgentTasks,
) -> None:
    taken = claimed(client)

    def stop_within_a_beat() -> None:
        with OwnConnection(client.database, 30.0).use() as connection, _bounded(connection, seconds=0.3):
            connection.execute(LOCK, [taken.id])
            eventually(lambda: is_free(client, taken.id))

    with pytest.raises(Transient):
        stop_within_a_beat()


def test_a_transaction_of_ours_that_stands_still_holds_no_row_for_long(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FROZEN_SECONDS", 0.3)
    taken = claimed(client)
    other = AgentTasks(client.settings)

    def stop_within_a_transaction() -> None:
        with other.database.connection() as connection, connection.transaction():
            connection.execute(LOCK, [taken.id])
            eventually(lambda: is_free(client, taken.id))
            connection.execute("SELECT 1")

    with pytest.raises(Transient):
        stop_within_a_transaction()
    other.close()


LOCK = "SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE"


def is_free(client: AgentTasks, task_id: UUID) -> bool:
    """Whether nobody has locked a task's row."""
    return query(client, f"{LOCK} SKIP LOCKED", task_id) != []

"""The gauges of a deployment's backlog: what is pending, running and waiting, and for how long."""

import pytest

from agent_tasks import AgentTasks
from agent_tasks import backlog as ours
from agent_tasks.backlog import Backlog
from agent_tasks.store.errors import ServerAway
from agent_tasks.sweeps.sweeper import Sweeper
from tests.database import claimed, query, submitted


def gauges(client: AgentTasks) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("agent_tasks_"), *sample.labels.values()): sample.value
        for family in Backlog(client).collect()
        for sample in family.samples
    }


def test_what_is_pending_running_and_waiting_is_counted_by_queue_and_kind(client: AgentTasks) -> None:
    claimed(client)
    for _ in range(2):
        client.submit("echo", queue="slow")
    waiting = submitted(client)
    query(
        client,
        """UPDATE agent_tasks.tasks SET status = 'waiting', due_at = now() + interval '1 h', waiting_for =
            jsonb_build_object('kind', 'signal', 'since', now() - interval '100 s') WHERE id = %s""",
        waiting,
    )
    query(
        client,
        "UPDATE agent_tasks.tasks SET pending_since = now() - interval '30 s', due_at = now() - interval '20 s' "
        "WHERE queue = 'slow'",
    )
    found = gauges(client)
    assert found["pending", "slow"] == 2
    assert found["running", "agents"] == 1
    assert found["waiting", "signal", "agents"] == 1
    assert 100 <= found["waiting_oldest_seconds", "signal", "agents"] < 200
    assert 30 <= found["pending_oldest_seconds", "slow"] < 100
    assert 20 <= found["sweep_lag_seconds",] < 100
    assert (found["deliveries_pending",], found["deliveries_oldest_seconds",]) == (0, 0)
    assert found["postgres_connections", "active"] >= 1
    assert found["postgres_connections_limit",] > found["postgres_connections", "active"]


def test_what_is_paused_is_no_depth_of_its_queue(client: AgentTasks) -> None:
    """No worker more would take any of it."""
    tasks = [submitted(client, queue="slow") for _ in range(3)]
    client.pause(tasks[0])
    client.pause(tasks[1])
    query(
        client, "UPDATE agent_tasks.tasks SET due_at = now() - interval '1 s', pending_since = now() - interval '1 h'"
    )
    query(client, "UPDATE agent_tasks.tasks SET pending_since = now() WHERE id = %s", tasks[2])
    Sweeper(client).run("due")
    found = gauges(client)
    assert (found["pending", "slow"], found["paused", "slow"]) == (1, 2)
    assert found["pending_oldest_seconds", "slow"] < 100
    for task in tasks[:2]:
        client.resume_paused(task)
    Sweeper(client).run("due")
    found = gauges(client)
    assert (found["pending", "slow"], ("paused", "slow") in found) == (3, False)


def test_nothing_is_due_where_there_is_nothing(client: AgentTasks) -> None:
    found = gauges(client)
    assert found["sweep_lag_seconds",] == 0
    assert not [key for key in found if key[0] in ("pending", "running", "waiting")]


def test_an_answer_serves_all_who_scrape_within_some_seconds(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog, now = Backlog(client), [100.0]
    monkeypatch.setattr(ours, "monotonic", lambda: now[0])
    first = list(backlog.collect())
    client.submit("echo", queue="slow")
    assert list(backlog.collect()) == first
    now[0] += ours.FRESH_SECONDS
    assert next(s.value for f in backlog.collect() for s in f.samples if s.labels == {"queue": "slow"}) == 1


def test_without_postgres_there_are_no_gauges_rather_than_old_ones(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog = Backlog(client)
    assert list(backlog.collect())
    monkeypatch.setattr(ours, "FRESH_SECONDS", 0.0)

    def away() -> None:
        raise ServerAway("it is away")

    monkeypatch.setattr(client.database, "connection", away)
    monkeypatch.setattr(backlog, "_until", 0.0)
    assert list(backlog.collect()) == []

"""All that operators do to the tables: schedules, bulk operations, pauses, alerts, keys, and the sweeps."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agent_tasks import AgentTasks, AlertRule, Identity
from agent_tasks.client.keys import verify
from agent_tasks.errors import InvalidState
from agent_tasks.store.queries.pauses import living_targets
from agent_tasks.sweeps import alerts
from agent_tasks.sweeps.sweeper import ROUNDS, Sweeper
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.transitions import bulk as bulk_rows
from agent_tasks.transitions import park as parking
from tests import database
from tests.database import claimed, fall_due, open_wait, park, query, submitted
from tests.database.everything.who import ANA
from tests.database.webhooks import endpoint


def use_schedules(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, name="s", every=60, identity=ANA)
    client.schedules()
    client.unschedule("s", identity=Identity(subject="eve", tenant="acme"))
    client.unschedule("none")
    client.pause_schedule("s", reason="r", identity=ANA)
    client.trigger_schedule("s")
    client.unpause_schedule("s")
    client.schedule("echo", {"value": 1}, name="missed", every=60, catch_up="none")
    query(client, "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - interval '1 s'")
    query(client, "UPDATE agent_tasks.schedules SET next_at = now() - interval '1 h' WHERE name = 'missed'")


def use_bulks(client: AgentTasks) -> None:
    """Each operation on a few tasks of a session, and on some of the many that there are."""
    few = TaskFilter(session_id="bulk")
    client.submit_many("echo", [{"value": n} for n in range(4)], session_id="bulk")
    waits = submitted(client, session_id="bulk")
    with client.database.connection() as connection:
        database.park(connection, claimed(client, waits), "go")
    client.bulk("signal", few, name="go")
    client.bulk("prioritise", few, priority=9)
    client.bulk("move", few, to="agents-too")
    client.bulk("cancel", few, dry_run=True)
    client.bulk("cancel", few, limit=4)
    client.bulk("resume", few, limit=2)
    client.bulk("acknowledge", few)
    client.bulk("purge", few)
    left = client.bulk("cancel", TaskFilter(session_id="bulk", created_after=timedelta(hours=1)), wait=False)
    assert left.id is not None
    client.get_bulk(left.id, identity=None)
    client.stop_bulk(left.id)
    assert client.bulks(identity=ANA) == []
    with client.database.connection() as connection:
        bulk_rows.postpone(connection, UUID(int=1), seconds=1.0)
    gone = submitted(client, identity=Identity(subject="gone", tenant="acme"))
    with pytest.raises(InvalidState):
        client.purge(gone)
    client.purge(subject="gone", tenant="acme", cancel=True, dry_run=True)
    assert client.purge(subject="gone", tenant="acme", cancel=True).tasks == 1


def use_keys(client: AgentTasks) -> None:
    key = client.create_key(tenant="acme", subject="ana", scopes=["tasks:read"], expires_in=60)
    verify(client, key.key)
    client.keys("acme")
    client.keys()
    client.revoke_key(key.id)


def use_alerts(client: AgentTasks) -> None:
    endpoint(client, name=str(uuid4()))
    rules = [AlertRule(kind, 1.0) for kind in ("waiting", "pending", "unserved", "failures", "spend")]  # type: ignore[arg-type]
    for rule in (*rules, AlertRule("orphans"), AlertRule("deliveries")):
        client.put_alert(rule.kind, rule)
        client.put_alert(rule.kind, replace(rule, agent="echo") if rule.kind == "pending" else rule, identity=ANA)
    client.alert("pending", tenant="acme", identity=ANA)
    client.alerts()
    assert alerts.run_once(client)
    client.remove_alert("pending")
    query(client, "UPDATE agent_tasks.alerts SET due_at = clock_timestamp()")


def use_sweeps(client: AgentTasks) -> None:
    Sweeper(client).run("orphans")  # its watch begins
    query(client, "UPDATE agent_tasks.watches SET since = now() - interval '1 d', last_at = now()")
    query(
        client,
        "UPDATE agent_tasks.tasks SET due_at = now() WHERE id IN (SELECT id FROM agent_tasks.tasks "
        "WHERE status = 'pending' LIMIT 9)",
    )
    fall_due(client, submitted(client, queue="another"))  # its bell waits
    Sweeper(client).run_due()
    client.redis.delete("agents")  # bells are lost, and rung
    query(
        client,
        "UPDATE agent_tasks.tasks SET due_at = now() WHERE id IN (SELECT id FROM agent_tasks.tasks "
        "WHERE status = 'pending' LIMIT 9)",
    )
    for sweeps in ROUNDS.values():
        for sweep in sweeps.values():
            sweep(client)
    client.unschedule("s")


def use_pauses(client: AgentTasks) -> None:
    pending, waiting, within = submitted(client), claimed(client), claimed(client)
    with client.database.connection() as connection:
        park(connection, waiting, "go", timeout=600)
        database.park_within(connection, within, open_wait(1, "go"), open_wait(2, "come"))
    client.pause(pending)
    client.pause(agent="echo", reason="why")
    with pytest.raises(InvalidState):
        client.pause(agent="echo")
    assert client.get(pending).snapshot().paused
    with client.database.connection() as connection:
        assert living_targets(connection, limit=10), "of tasks in the mirror, which may not be there yet"
    assert database.try_claim(client, pending) is None
    for task_id in (waiting.id, within.id):
        fall_due(client, task_id)
    sweeper = Sweeper(client)
    sweeper.run("due")
    client.get(within.id).signal("come", 1)
    client.resume_paused(pending)
    client.resume_paused(agent="echo")
    client.pause(ended := submitted(client))
    client.get(ended).cancel()
    sweeper.run("due")
    assert len(client.pauses(ended=True)) >= 2
    again = claimed(client, within.id)
    waits = [open_wait(1, "go")]
    (kept,) = query(client, "SELECT wait FROM agent_tasks.calls WHERE task_id = %s AND ordinal = 1", again.id)
    waits[0].record.wait, waits[0].record.status = {**kept["wait"], "until": "2020-01-01T00:00:00+00:00"}, "started"
    with client.database.connection() as connection, connection.transaction():
        parking.take(connection, again, waits, [1])

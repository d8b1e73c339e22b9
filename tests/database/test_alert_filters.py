"""Alerts: what they count, and for whom."""

from typing import Any

import pytest

from agent_tasks import AgentTasks, AlertRule, Identity, PermissionDenied, TaskNotFound
from agent_tasks.transitions import heartbeat
from tests.database import query, submitted
from tests.database.alerting import BOSS, LONG, WORKER, aged, checked, waiting
from tests.database.children import broken, run_child
from tests.database.webhooks import deliveries, endpoint

ANA = Identity(subject="ana", tenant="acme")
EVE = Identity(subject="eve", tenant="other", scopes=("tasks:all",))
NOBODYS = Identity(subject="carl", scopes=("tasks:all",))


def test_a_share_of_few_tasks_says_nothing(client: AgentTasks) -> None:
    client.put_alert("a", AlertRule("failures", 0.1, least=3))
    for _ in range(2):
        run_child(client, submitted(client), broken)
    found = checked(client)
    assert (found.state, found.value, found.found) == ("ok", None, {"failed": 2, "ended": 2})
    run_child(client, submitted(client), broken)
    assert (checked(client).state, checked(client).value) == ("firing", 1.0)


def test_a_queue_is_unserved_since_its_worker_was_last_seen(client: AgentTasks) -> None:
    """A worker that was just restarted beside a long queue is no alarm."""
    client.put_alert("a", AlertRule("unserved"))
    aged(client, submitted(client))
    with client.database.connection() as connection:
        heartbeat.sign_on(connection, WORKER, seconds=60)
        heartbeat.sign_off(connection, WORKER.id)
    found = checked(client)
    assert (found.state, found.found and found.found["step"]) == ("ok", "echo")
    query(client, "UPDATE agent_tasks.workers SET seen_at = now() - interval '2 min'")
    assert checked(client).state == "firing"


def test_filters_choose_whose_tasks_count(client: AgentTasks) -> None:
    aged(client, submitted(client, queue="slow"))
    aged(client, waiting(client))
    firing = {
        name: checked(client, name).state == "firing"
        for name, rule in {
            "slow": AlertRule("pending", 60, queue="slow"),
            "other queue": AlertRule("pending", 60, queue="fast"),
            "agent": AlertRule("pending", 60, agent="echo"),
            "other agent": AlertRule("pending", 60, agent="hops"),
            "signal": AlertRule("waiting", 60, waits_for="signal"),
            "timer": AlertRule("waiting", 60, waits_for="timer"),
        }.items()
        if client.put_alert(name, rule)
    }
    assert [name for name, fires in firing.items() if fires] == ["slow", "agent", "signal"]


@pytest.mark.parametrize("kind", ["pending", "unserved", "waiting"])
def test_what_is_paused_fires_nothing(client: AgentTasks, kind: Any) -> None:
    held = waiting(client) if kind == "waiting" else submitted(client)
    aged(client, held)
    client.put_alert("a", AlertRule(kind, 60))
    assert checked(client).state == "firing"
    client.pause(held)
    assert checked(client).state == "ok"
    client.resume_paused(held)
    aged(client, held)
    assert checked(client).state == "firing"


@pytest.mark.parametrize("kind", ["pending", "unserved", "waiting"])
def test_many_that_are_paused_hide_none_that_is_not(client: AgentTasks, kind: Any) -> None:
    """No sweep has put them off yet, nor does one where they wait without a time-out."""
    held = [task.id for task in client.submit_many("echo", [{}] * 101)]
    other = submitted(client, queue="other")
    for task in (*held, other) if kind == "waiting" else ():
        wait = """status = 'waiting', due_at = NULL, waiting_for = jsonb_build_object('kind', 'signal', 'name', 'go',
            'since', now())"""
        query(client, f"UPDATE agent_tasks.tasks SET {wait} WHERE id = %s", task)
    for task in held:
        aged(client, task, 9000)
    aged(client, other, 7200)
    client.pause(queue="agents")
    client.put_alert("a", AlertRule(kind, 3600))
    found = checked(client)
    assert (found.state, (found.found or {}).get("task_id")) == ("firing", str(other))


def test_tenants_are_sealed(client: AgentTasks) -> None:
    """Each watches its own tasks, and is told of its own alerts; a trusted program watches all of them."""
    acme, other, nobodys = (endpoint(client, tenant, trusted=False) for tenant in ("acme", "other", ""))
    trusted, anas = endpoint(client), endpoint(client, "acme", subject="ana")
    client.put_alert("a", LONG, identity=BOSS)
    client.put_alert("a", LONG, identity=EVE)
    client.put_alert("b", LONG, identity=NOBODYS)
    client.put_alert("all", LONG)
    aged(client, submitted(client, identity=ANA))
    aged(client, submitted(client))
    states = {(each.tenant, each.name): each.state for each in [checked(client, "all"), *client.alerts()]}
    assert states == {("acme", "a"): "firing", ("other", "a"): "ok", ("", "b"): "ok", ("", "all"): "firing"}
    heard = {
        name: [row["type"] for row in deliveries(client, id) if row["type"].startswith("alert.")]
        for name, id in {"acme": acme, "other": other, "nobodys": nobodys, "trusted": trusted, "anas": anas}.items()
    }
    assert heard == {"acme": ["alert.firing"], "other": [], "nobodys": [], "trusted": ["alert.firing"], "anas": []}
    seen = {
        identity.tenant: [e.type for e in client.webhooks.feed(identity=identity).events if e.type.startswith("alert")]
        for identity in (BOSS, EVE, NOBODYS)
    }
    assert seen == {"acme": ["alert.firing"], "other": [], "": []}
    assert [each.name for each in client.alerts(identity=BOSS)] == ["a"]
    assert [each.name for each in client.alerts(identity=NOBODYS)] == ["b"]
    assert client.alerts(identity=ANA) == []
    for tenant, name, identity in (("acme", "a", EVE), ("acme", "a", ANA), ("", "all", NOBODYS)):
        with pytest.raises(TaskNotFound):
            client.alert(name, tenant=tenant, identity=identity)
        assert not client.remove_alert(name, tenant=tenant, identity=identity)
    for tenant, identity in (("other", BOSS), ("acme", ANA)):
        with pytest.raises(PermissionDenied, match="tasks:all"):
            client.put_alert("a", LONG, tenant=tenant, identity=identity)
    with pytest.raises(PermissionDenied, match="trusted program's"):
        client.put_alert("all", LONG, identity=NOBODYS)


def test_an_endpoint_for_some_agents_hears_of_their_alerts(client: AgentTasks) -> None:
    echoes, others = endpoint(client, agents=["echo"]), endpoint(client, agents=["hops"])
    client.put_alert("a", AlertRule("pending", 60, agent="echo"))
    client.put_alert("b", LONG)
    query(client, "DELETE FROM agent_tasks.deliveries")
    aged(client, submitted(client))
    checked(client)
    about = [row for row in deliveries(client, echoes) if row["type"] == "alert.firing"]
    assert (len(about), deliveries(client, others)) == (1, [])

"""All that is told to others, and what their sessions do to the tables."""

from typing import Any
from uuid import uuid4

from agent_tasks import AgentTasks, Identity
from agent_tasks.authoring.place import Place
from agent_tasks.client import sessions
from agent_tasks.client.pushes import find_pushes, put_push, remove_push
from agent_tasks.store.queries import doors
from agent_tasks.transitions import delivery, job, lane
from agent_tasks.transitions.invoke import Runtime
from agent_tasks.transitions.ping import ping
from agent_tasks.transitions.push import PushRow
from agent_tasks.transitions.submit import NewTask
from agent_tasks.transitions.watch import DELIVERER, watch
from tests import database
from tests.database import claimed, query, submitted
from tests.database.children import end
from tests.database.everything.who import ANA
from tests.database.webhooks import deliveries, ended, endpoint


def use_endpoints(client: AgentTasks) -> None:
    webhooks = client.webhooks
    for url in ("https://a.example", "https://b.example"):
        webhooks.put("endpoint", url, tenant="acme")
    webhooks.get("endpoint", identity=ANA)
    webhooks.list()
    webhooks.list(tenant="acme", identity=ANA)
    webhooks.ping("endpoint", tenant="acme")
    webhooks.rotate("endpoint", tenant="acme")
    client.submit("echo", {"value": 1}, identity=ANA, callback_url="https://c.example").cancel()
    webhooks.disable("endpoint", tenant="acme")
    webhooks.enable("endpoint", tenant="acme")
    webhooks.remove("endpoint", tenant="acme")
    query(client, "UPDATE agent_tasks.outbox SET at = now() - interval '9 d' WHERE type = 'webhook.ping'")
    query(
        client,
        "UPDATE agent_tasks.deliveries SET status = 'dropped', due_at = NULL, ended_at = now() - interval '9 d' "
        "WHERE type = 'webhook.ping'",
    )


def use_webhooks(client: AgentTasks) -> None:
    billing = endpoint(client, "acme", name=str(uuid4()), agents=["echo"])
    names = query(client, "SELECT name FROM agent_tasks.webhooks WHERE id = %s", billing)
    client.submit("echo", {"value": 1}, identity=ANA).cancel()
    old = deliveries(client, billing)[0]["id"]
    ended(client, old)
    webhooks, name = client.webhooks, names[0]["name"]
    webhooks.replay(old, identity=ANA)
    webhooks.replay_range(name, tenant="acme", only="all")
    webhooks.delivery(old)
    task_id = deliveries(client, billing)[0]["task_id"]
    for options in ({}, {"tenant": "acme"}, {"tenant": "acme", "webhook": name}, {"task_id": task_id}):  # type: ignore[var-annotated]
        webhooks.deliveries(**options, status="failed", limit=10)
        webhooks.deliveries(**options, identity=ANA, limit=10)
    page = webhooks.feed(tenant="acme")
    webhooks.feed(after=page.next, identity=Identity(subject="ana", tenant="acme"))
    query(client, "DELETE FROM agent_tasks.webhooks WHERE id = %s", billing)


def use_sessions(client: AgentTasks) -> None:
    runtime = Runtime("echo", ANA, 900.0, 28_800.0)
    session = f"session-{uuid4()}"

    def make() -> NewTask:
        target = client.find_target("echo")
        return client.new_task(target, {"value": 1}, None, identity=ANA, session_id=session)

    task = sessions.invoke(client, runtime, session, make, exclusive=True).row["id"]
    assert sessions.invoke(client, runtime, session, make, exclusive=True).found == "work"
    taken = claimed(client, task)
    with client.database.connection() as connection:
        ping(connection, runtime)
        job.complete(connection, job.add(connection, "job", None, Place(task, 0, taken.run, ANA, session)))
    end(client, taken)
    assert sessions.last_task(client, runtime, session) == task
    assert sessions.invoke(client, runtime, session, make, exclusive=True).found == "result"
    with client.database.connection() as connection:
        ping(connection, runtime)


def use_deliveries(client: AgentTasks) -> None:
    hook, other = uuid4(), uuid4()
    for each in (hook, other):
        sql = (
            "INSERT INTO agent_tasks.webhooks (id, tenant, name, url, secret) VALUES (%s, 'hooks', %s, 'https://a', '')"
        )
        query(client, sql, each, str(each))
    taken = claimed(client, submitted(client, identity=Identity(subject="ana", tenant="hooks")))
    for number in range(2):
        address = PushRow(id=str(number), url="https://a.example/", token="t", scheme="Bearer", credentials="c")
        put_push(client, taken.id, address, ANA)
    assert len(find_pushes(client, taken.id)) == 2
    remove_push(client, taken.id, "1", ANA)
    name = f"webhook:{hook}"
    terms: dict[str, Any] = {"usual_room": 10, "limit": 1000, "failing": 5, "lease_seconds": 60}
    terms |= {"tenant_room": {"another": 0}, "usual_tenant_room": 100}
    with client.database.transaction() as connection:
        database.emit(connection, taken)
        lane.failed(connection, {name: 5}, given_up_seconds=60)
        found = delivery.claim(connection, room={"webhook:1": 1}, **terms)
        assert name in {each["lane"] for each in found.claimed}
        assert found.moved
        assert all(delivery.is_wanted(connection, each) for each in found.claimed)
        assert lane.urls(connection, [hook]) == {hook: "https://a"}
        outcomes = [delivery.Outcome(each["id"], each["attempt"], "delivered", 200) for each in found.claimed]
        _, woken = delivery.finish(connection, outcomes)
        assert woken
        lane.pause(connection, {name: 5.0}, {name: 5.0})
        lane.worked(connection, [name])
        lane.forget(connection)
        delivery.give_up(connection, name, seconds=60, lease_seconds=60, limit=100)
        assert lane.disable(connection, hook, url=None, why="gone")
        assert delivery.drop(connection, name, limit=100)
        watch(connection, DELIVERER, gap_seconds=60)
        doors.has_pending_deliveries(connection)

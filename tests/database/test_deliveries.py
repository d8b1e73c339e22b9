"""Looking at deliveries: what was sent where, page by page, and who may see it."""

from typing import Any
from uuid import uuid4

import pytest

from agent_tasks import AgentTasks, Identity
from agent_tasks.client.delivery import Delivery
from agent_tasks.errors import InvalidInput, TaskNotFound
from agent_tasks.store.queries import deliveries as queries
from tests.database import claimed, park, query, submitted
from tests.database.webhooks import called_back, deliveries, ended, endpoint

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
EVE = Identity(subject="eve", tenant="other", scopes=("tasks:all",))
EVERYONE = (None, ANA, BOB, BOSS, EVE)


def found(client: AgentTasks, **options: Any) -> list[Delivery]:
    """All pages of a list."""
    page = client.webhooks.deliveries(**options)
    rows = page.deliveries
    while page.next is not None:
        page = client.webhooks.deliveries(**options, after=page.next)
        rows += page.deliveries
    return rows


def test_a_delivery_says_what_goes_where_and_how_it_stands(client: AgentTasks) -> None:
    endpoint(client, "acme", name="billing", url="https://billing.example/in")
    task = client.submit("echo", {"value": 1}, identity=ANA)
    (waiting,) = found(client)
    assert (waiting.webhook, waiting.url) == ("billing", "https://billing.example/in")
    assert (waiting.event_id, waiting.task_id, waiting.sequence) == (f"evt_{task.id.hex}_1", task.id, 1)
    assert (waiting.type, waiting.tenant, waiting.subject) == ("task.submitted", "acme", "ana")
    assert (waiting.status, waiting.attempt, waiting.answer, waiting.ended_at) == ("pending", 0, None, None)
    assert waiting.due_at is not None
    ended(client, waiting.id)
    over = client.webhooks.delivery(waiting.id)
    assert (over.status, over.attempt, over.answer, over.error, over.due_at) == ("failed", 10, 500, "no", None)
    assert over.ended_at == over.last_at or over.ended_at is not None
    query(client, "DELETE FROM agent_tasks.webhooks")
    removed = client.webhooks.delivery(str(waiting.id))
    assert (removed.webhook, removed.url, removed.event_id) == (None, None, waiting.event_id)


def test_the_delivery_of_a_callback_has_its_url(client: AgentTasks) -> None:
    taken = claimed(client)
    called_back(client, taken.id, "https://a.example/x")
    with client.database.connection() as connection:
        park(connection, taken, "go")
    (one,) = found(client)
    assert (one.webhook, one.url, one.type) == (None, "https://a.example/x", "task.waiting")


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_newest_come_first_and_each_once(client: AgentTasks, limit: int) -> None:
    endpoint(client, name="one")
    endpoint(client, name="two")
    tasks = client.submit_many("echo", [{"value": n} for n in range(3)])  # in one commit, so at nearly one time
    rows = found(client, limit=limit)
    assert len({row.id for row in rows}) == len(rows) == 6
    assert {row.task_id for row in rows} == {task.id for task in tasks}
    assert [(row.created_at, row.id) for row in rows] == sorted(((r.created_at, r.id) for r in rows), reverse=True)


def test_every_filter_leaves_out_the_others(client: AgentTasks) -> None:
    endpoint(client, "acme", name="billing")
    endpoint(client, "acme", name="crm", types=["task.cancelled"])
    endpoint(client, "other", name="billing")
    tasks = {who: client.submit("echo", {"value": 1}, identity=who) for who in (ANA, EVE)}
    tasks[ANA].cancel()
    ended(client, found(client, tenant="acme", webhook="billing")[0].id)
    everything = found(client)
    assert len(everything) == 4
    assert {(row.tenant, row.webhook) for row in everything} == {
        ("acme", "billing"), ("acme", "crm"), ("other", "billing"),
    }  # fmt: skip
    for options, number in (
        ({"tenant": "acme"}, 3), ({"tenant": ""}, 0), ({"tenant": "acme", "webhook": "billing"}, 2),
        ({"webhook": "billing"}, 0), ({"webhook": "billing", "identity": BOSS}, 2), ({"webhook": "none"}, 0),
        ({"status": "failed"}, 1), ({"status": "delivered"}, 0), ({"type": "task.cancelled"}, 2),
        ({"task_id": tasks[EVE].id}, 1), ({"task_id": str(tasks[ANA].id)}, 3),
        ({"task_id": tasks[ANA].id, "type": "task.cancelled", "tenant": "acme", "status": "pending"}, 1),
        ({"task_id": tasks[ANA].id, "tenant": "other"}, 0),
    ):  # fmt: skip
        assert len(found(client, **options)) == number, options


def test_a_page_that_looks_at_others_alone_leads_on(client: AgentTasks) -> None:
    endpoint(client, "acme", subject="ana")
    bobs = endpoint(client, "acme", subject="bob")
    for identity in (BOB, *[ANA] * 7, BOB, ANA):
        client.submit("echo", {"value": 1}, identity=identity)
    after, rows, pages = queries.NEWEST, list[Any](), 0
    while True:
        with client.database.connection() as connection:
            page = queries.deliveries(connection, BOB, after=after, looked_at=2)
        rows += page.rows
        pages += 1
        if page.next is None:
            break
        assert page.next < after
        after = page.next
    assert {row["id"] for row in rows} == {row["id"] for row in deliveries(client, bobs)}
    assert (len(rows), pages > 3) == (2, True)


@pytest.mark.parametrize("asked", [{"tenant": "acme"}, {"task_id": None}, {"tenant": "acme", "webhook": "all"}])
def test_a_page_of_another_tenants_leads_nowhere(client: AgentTasks, asked: dict[str, Any]) -> None:
    """Its places would tell what is there."""
    endpoint(client, "acme", name="all")
    endpoint(client, "acme")
    task = client.submit("echo", {"value": 1}, identity=ANA)
    task.cancel()
    asked = {name: value or task.id for name, value in asked.items()}
    with client.database.connection() as connection:
        assert queries.deliveries(connection, EVE, looked_at=1, **asked) == queries.Found([], None)
        assert queries.deliveries(connection, BOB, looked_at=1, **asked).next is not None


def test_each_sees_the_deliveries_of_their_own_endpoints_and_tasks(client: AgentTasks) -> None:
    endpoint(client, "acme", name="all")
    endpoint(client, "acme", name="ana", subject="ana")
    endpoint(client, "other", name="all")
    for who in (ANA, BOB, EVE):
        task = client.submit("echo", {"value": 1}, identity=who)
        called_back(client, task.id, f"https://{who.subject}.example/")
        task.cancel()

    def key(row: Delivery) -> tuple[str, str | None, str | None]:
        return row.tenant, row.webhook or row.url, row.subject

    seen = {who: {key(row) for row in found(client, identity=who)} for who in EVERYONE}
    anas = {("acme", "ana", "ana"), ("acme", "https://ana.example/", "ana")}
    bobs = {("acme", "https://bob.example/", "bob")}
    assert seen[ANA] == anas, "the tenant's endpoint is not hers, though it is told of her tasks"
    assert seen[BOB] == bobs
    assert seen[BOSS] == anas | bobs | {("acme", "all", "ana"), ("acme", "all", "bob")}
    assert seen[EVE] == {("other", "all", "eve"), ("other", "https://eve.example/", "eve")}
    assert seen[None] == seen[BOSS] | seen[EVE]
    for who in EVERYONE:
        for row in found(client):
            if key(row) in seen[who]:
                assert client.webhooks.delivery(row.id, identity=who) == row
            else:
                with pytest.raises(TaskNotFound) as refused:
                    client.webhooks.delivery(row.id, identity=who)
                never = uuid4()
                with pytest.raises(TaskNotFound) as other:
                    client.webhooks.delivery(never, identity=who)
                assert str(refused.value).replace(str(row.id), str(never)) == str(other.value)


def test_what_a_trusted_program_does_is_no_ones_of_the_empty_tenant(client: AgentTasks) -> None:
    endpoint(client)
    called_back(client, submitted(client))
    nobody = Identity(subject="ana", scopes=("tasks:all",))
    assert len(found(client)) == 1
    assert found(client, identity=nobody) == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"status": "lost"}, "status"), ({"status": 7}, "status"), ({"limit": 0}, "limit"), ({"limit": 1001}, "limit"),
        ({"webhook": ""}, "webhook"), ({"webhook": 7}, "webhook"), ({"type": "\0"}, "type"), ({"tenant": 7}, "tenant"),
        ({"after": "x"}, "after"), ({"after": 7}, "after"), ({"task_id": "x"}, "task_id"),
        ({"identity": 7}, "identity"),
    ],
)  # fmt: skip
def test_what_is_no_argument_is_refused(client: AgentTasks, options: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        client.webhooks.deliveries(**options)
    assert refused.value.details["field"] == field


@pytest.mark.parametrize("id", ["", "x", 7, None, "\0", "0198c2f45a9e7c319a513f0c1c1f2b77"])
def test_what_is_the_id_of_no_delivery_is_not_found(client: AgentTasks, id: Any) -> None:
    for look in (client.webhooks.delivery, client.webhooks.replay):
        with pytest.raises(TaskNotFound, match="No delivery"):
            look(id)

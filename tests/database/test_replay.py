"""Replays: an event is delivered to an endpoint once more, in its place among the others of its task."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from agent_tasks import AgentTasks, Identity
from agent_tasks.errors import InvalidInput, InvalidState, TaskNotFound
from agent_tasks.transitions import replay as replays
from agent_tasks.transitions.delivery import LEASE_TIMES
from tests.database import BLOCKED, Row, claimed, park, query, submitted
from tests.database.webhooks import called_back, deliveries, ended, endpoint
from tests.eventually import eventually

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
EVE = Identity(subject="eve", tenant="other", scopes=("tasks:all",))


def failed(client: AgentTasks, webhook_id: UUID | None) -> UUID:
    """The first delivery of an endpoint, which has been given up."""
    (row, *_) = deliveries(client, webhook_id)
    ended(client, row["id"])
    return row["id"]


def disable(client: AgentTasks, webhook_id: UUID, *, off: bool = True) -> None:
    sql = """
        UPDATE agent_tasks.webhooks SET disabled_at = CASE WHEN %(off)s THEN now() END,
            disabled_why = CASE WHEN %(off)s THEN 'asked' END
        WHERE id = %(id)s
    """
    with client.database.connection() as connection:
        connection.execute(sql, {"off": off, "id": webhook_id})


def due_in(client: AgentTasks, id: UUID, seconds: float) -> None:
    sql = "UPDATE agent_tasks.deliveries SET attempt = 3, due_at = clock_timestamp() + %s WHERE id = %s"
    query(client, sql, timedelta(seconds=seconds), id)


def is_due(client: AgentTasks, id: UUID) -> bool:
    (row,) = query(client, "SELECT due_at <= clock_timestamp() AS due FROM agent_tasks.deliveries WHERE id = %s", id)
    return bool(row["due"])


def told(row: Row) -> dict[str, Any]:
    """What of a delivery its receiver could tell from another one's."""
    names = ("outbox_id", "webhook_id", "lane", "url", "tenant", "subject", "task_id", "seq", "type", "ordered")
    return {name: row[name] for name in names}


def pending(client: AgentTasks, webhook_id: UUID | None) -> list[Row]:
    return [row for row in deliveries(client, webhook_id) if row["status"] == "pending"]


def test_a_replay_is_a_new_delivery_of_the_same_event(client: AgentTasks) -> None:
    billing = endpoint(client, "acme", name="billing")
    client.submit("echo", {"value": 1}, identity=ANA)
    old = failed(client, billing)
    made = client.webhooks.replay(old, identity=BOSS)
    before, after = client.webhooks.delivery(old), client.webhooks.delivery(made.id)
    assert (made.id != old, made.status, made.attempt, made.webhook) == (True, "pending", 0, "billing")
    assert made.event_id == before.event_id
    assert is_due(client, made.id)
    assert (before.status, after) == ("failed", made)
    first, second = deliveries(client, billing)
    assert told(first) == told(second)


@pytest.mark.parametrize("status", ["delivered", "dropped"])
def test_what_was_delivered_or_dropped_can_be_delivered_once_more(client: AgentTasks, status: str) -> None:
    billing = endpoint(client)
    submitted(client)
    ended(client, deliveries(client, billing)[0]["id"], status)
    client.webhooks.replay(deliveries(client, billing)[0]["id"])
    assert len(pending(client, billing)) == 1


def test_a_callback_is_called_once_more(client: AgentTasks) -> None:
    called = called_back(client, submitted(client))
    client.get(called).cancel()
    made = client.webhooks.replay(failed(client, None))
    first, second = deliveries(client)
    assert told(first) == told(second)
    assert (second["id"], made.url) == (made.id, first["url"])


def test_a_callback_that_is_gone_is_called_no_more(client: AgentTasks) -> None:
    called = called_back(client, submitted(client))
    client.get(called).cancel()
    old = failed(client, None)
    query(client, "UPDATE agent_tasks.deliveries SET answer = 410")
    with pytest.raises(InvalidState, match="410"):
        client.webhooks.replay(old)
    assert len(deliveries(client)) == 1


def test_what_waits_for_its_next_attempt_is_due_now_and_sent_no_second_time(client: AgentTasks) -> None:
    billing = endpoint(client)
    submitted(client)
    (row,) = deliveries(client, billing)
    due_in(client, row["id"], 18_000)
    made = client.webhooks.replay(row["id"])
    assert (made.id, made.attempt) == (row["id"], 3)
    assert is_due(client, made.id)
    assert len(deliveries(client, billing)) == 1


def test_what_may_be_on_its_way_is_left_alone(client: AgentTasks) -> None:
    billing = endpoint(client)
    submitted(client)
    (row,) = deliveries(client, billing)
    due_in(client, row["id"], LEASE_TIMES * client.settings.webhook_seconds - 5)
    (before,) = deliveries(client, billing)
    assert client.webhooks.replay(row["id"]).id == row["id"]
    assert deliveries(client, billing) == [before]


def test_what_waits_for_an_earlier_one_of_its_task_goes_on_waiting(client: AgentTasks) -> None:
    billing = endpoint(client)
    task = client.submit("echo", {"value": 1})
    task.cancel()
    _, second = deliveries(client, billing)
    query(client, "UPDATE agent_tasks.deliveries SET due_at = NULL WHERE id = %s", second["id"])
    made = client.webhooks.replay(second["id"])
    assert (made.id, made.due_at, made.status) == (second["id"], None, "pending")
    assert len(pending(client, billing)) == 2


def test_a_replay_stands_before_the_later_ones_of_its_task(client: AgentTasks) -> None:
    """By its number in the history, which the deliverer goes by: its row is younger than theirs."""
    billing = endpoint(client)
    client.submit("echo", {"value": 1}).cancel()
    made = client.webhooks.replay(failed(client, billing))
    rows = sorted(pending(client, billing), key=lambda row: row["seq"])
    assert [row["type"] for row in rows] == ["task.submitted", "task.cancelled"]
    assert rows[0]["id"] == made.id


def test_a_lane_that_fails_is_tried_at_once(client: AgentTasks) -> None:
    billing, other = endpoint(client), endpoint(client)
    submitted(client)
    sql = "INSERT INTO agent_tasks.lanes VALUES (%s, 5, now() - interval '1 d', now() + interval '5 h')"
    for each in (billing, other):
        query(client, sql, f"webhook:{each}")
    client.webhooks.replay(failed(client, billing))
    rows = query(client, "SELECT name, failures, retry_at <= clock_timestamp() AS now FROM agent_tasks.lanes")
    assert {row["name"]: (row["failures"], row["now"]) for row in rows} == {
        f"webhook:{billing}": (5, True), f"webhook:{other}": (5, False),
    }  # fmt: skip


def test_where_nothing_can_go_nothing_is_sent_once_more(client: AgentTasks) -> None:
    billing = endpoint(client, name="billing")
    submitted(client)
    old = failed(client, billing)
    disable(client, billing)
    with pytest.raises(InvalidState, match="Enable it") as refused:
        client.webhooks.replay(old)
    assert refused.value.details["why"] == "disabled"
    with pytest.raises(InvalidState, match="Enable it"):
        client.webhooks.replay_range("billing")
    disable(client, billing, off=False)
    query(client, "DELETE FROM agent_tasks.outbox")
    with pytest.raises(InvalidState, match="AGENT_TASKS_DELIVERY_SECONDS"):
        client.webhooks.replay(old)
    query(client, "DELETE FROM agent_tasks.webhooks")
    with pytest.raises(InvalidState, match="removed"):
        client.webhooks.replay(old)
    assert len(deliveries(client, billing)) == 1
    assert [entry for entry in client.audit() if entry.operation.startswith("replay")] == []


def test_of_two_at_once_one_makes_a_delivery_and_the_other_finds_it(client: AgentTasks) -> None:
    billing = endpoint(client, name="billing")
    submitted(client)
    old = failed(client, billing)
    ways: list[Callable[[], Any]] = [
        lambda: client.webhooks.replay(old),
        lambda: client.webhooks.replay(old),
        lambda: client.webhooks.replay_range("billing"),
        lambda: client.webhooks.replay_range("billing", only="all"),
    ]
    with ThreadPoolExecutor(4) as threads, psycopg.connect(client.settings.database_url) as holder:
        holder.execute("SELECT FROM agent_tasks.outbox FOR UPDATE")
        asked = [threads.submit(way) for way in ways]
        eventually(lambda: len(query(client, BLOCKED)) == len(ways))
        holder.commit()
        assert len({answer.result().id for answer in asked[:2]}) == 1
        assert [answer.result() for answer in asked[2:]] == [1, 1]
    assert len(pending(client, billing)) == 1


def test_only_who_may_see_a_delivery_or_an_endpoint_replays_it(client: AgentTasks) -> None:
    everyones = endpoint(client, "acme", name="all")
    anas = endpoint(client, "acme", name="ana", subject="ana")
    client.submit("echo", {"value": 1}, identity=ANA)
    one, hers = failed(client, everyones), failed(client, anas)
    for who in (ANA, BOB, EVE):
        with pytest.raises(TaskNotFound):
            client.webhooks.replay(one, identity=who)
        with pytest.raises(TaskNotFound, match="No endpoint is named 'all'"):
            client.webhooks.replay_range("all", identity=who)
        with pytest.raises(TaskNotFound):
            client.webhooks.replay_range("all", tenant="acme" if who is EVE else "other", identity=who)
    for who in (BOB, EVE):
        with pytest.raises(TaskNotFound):
            client.webhooks.replay(hers, identity=who)
    assert client.webhooks.replay(hers, identity=ANA).webhook == "ana"
    assert client.webhooks.replay_range("ana", identity=ANA) == 1
    assert client.webhooks.replay_range("all", identity=BOSS) == 1
    assert client.webhooks.replay_range("all", tenant="acme") == 1
    with pytest.raises(TaskNotFound):
        client.webhooks.replay_range("all")


def test_a_range_brings_an_endpoint_that_no_trusted_program_registered_no_task_of_nobody(client: AgentTasks) -> None:
    carl = Identity(subject="carl", scopes=("tasks:all",))
    theirs = client.webhooks.put("theirs", "https://a.example", identity=carl)
    client.webhooks.put("ours", "https://a.example")
    client.submit("echo", {"value": 1})
    bobs = client.submit("echo", {"value": 1}, identity=Identity(subject="bob"))
    assert client.webhooks.replay_range("theirs", only="all", identity=carl) == 1
    assert {row["task_id"] for row in deliveries(client, theirs.id)} == {bobs.id}
    assert client.webhooks.replay_range("ours", only="all") == 2


def test_a_replay_is_audited(client: AgentTasks) -> None:
    billing = endpoint(client, "acme", name="billing")
    task = client.submit("echo", {"value": 1}, identity=ANA)
    old = failed(client, billing)
    client.webhooks.replay(old, identity=BOSS)
    client.webhooks.replay_range("billing", only="all", identity=BOSS)
    client.webhooks.replay_range("billing", after="2999-01-01T00:00:00Z", identity=BOSS)
    nothing, some, one = (entry for entry in client.audit(limit=3))
    assert (one.operation, one.subject, one.task_id, one.target) == ("replay_delivery", "boss", task.id, str(old))
    assert one.data == {"webhook": "billing"}
    assert (some.operation, some.target, some.data) == (
        "replay_deliveries", "billing", {"only": "all", "deliveries": 1},
    )  # fmt: skip
    assert (nothing.operation, nothing.data) == ("replay_deliveries", {"only": "failed", "deliveries": 0})


def test_what_happened_while_an_endpoint_was_disabled_or_not_yet_there_comes_to_it(client: AgentTasks) -> None:
    endpoint(client, "acme", name="another")
    early = client.submit("echo", {"value": 1}, identity=ANA)
    billing = endpoint(client, "acme", name="billing", types=["task.submitted", "task.cancelled"], agents=["echo"])
    told_of = client.submit("echo", {"value": 2}, identity=ANA)
    disable(client, billing)
    missed = client.submit("echo", {"value": 3}, identity=ANA)
    missed.cancel()
    client.submit("echo", {"value": 4}, identity=EVE)
    disable(client, billing, off=False)
    assert [row["task_id"] for row in deliveries(client, billing)] == [told_of.id]
    ended(client, deliveries(client, billing)[0]["id"], "delivered")
    assert client.webhooks.replay_range("billing", tenant="acme") == 3
    assert [(row["task_id"], row["type"]) for row in pending(client, billing)] == [
        (early.id, "task.submitted"), (missed.id, "task.submitted"), (missed.id, "task.cancelled"),
    ]  # fmt: skip
    assert client.webhooks.replay_range("billing", tenant="acme") == 3, "they are still to be delivered"
    assert len(deliveries(client, billing)) == 4
    assert client.webhooks.replay_range("billing", tenant="acme", only="all") == 4
    assert len(deliveries(client, billing)) == 5


def test_a_range_has_what_the_endpoint_is_told_and_no_more(client: AgentTasks) -> None:
    for name, columns in {
        "ends": {"types": ["task.cancelled"]}, "others": {"agents": ["another"]}, "ana": {"subject": "ana"}, "all": {},
    }.items():  # fmt: skip
        endpoint(client, "acme", name=name, **columns)
    for who in (ANA, BOB):
        client.submit("echo", {"value": 1}, identity=who).cancel()
    query(client, "INSERT INTO agent_tasks.outbox (type, tenant) VALUES ('webhook.ping', 'acme')")
    numbers = {"ends": 2, "others": 0, "ana": 2, "all": 4}
    assert {name: client.webhooks.replay_range(name, tenant="acme") for name in numbers} == numbers


def test_a_range_lies_between_times_or_places_of_the_feed(client: AgentTasks) -> None:
    billing = endpoint(client, name="billing", disabled_at="2026-01-01", disabled_why="asked")
    tasks, places = [], [client.webhooks.feed().next]
    for n in range(4):
        tasks.append(client.submit("echo", {"value": n}).id)
        places.append(client.webhooks.feed(after=places[-1]).next)
    disable(client, billing, off=False)
    times = [row["at"] for row in query(client, "SELECT at FROM agent_tasks.outbox ORDER BY id")]

    def replayed(after: Any, until: Any) -> list[int]:
        number = client.webhooks.replay_range("billing", after=after, until=until)
        found = [tasks.index(row["task_id"]) for row in deliveries(client, billing)]
        query(client, "DELETE FROM agent_tasks.deliveries")
        assert len(found) == number
        return found

    assert replayed(None, None) == [0, 1, 2, 3]
    assert replayed(times[1], None) == [1, 2, 3]
    assert replayed(times[1], times[3]) == [1, 2]
    assert replayed(times[1].isoformat(), times[3].isoformat()) == [1, 2]
    assert replayed(places[1], None) == [1, 2, 3]
    assert replayed(places[1], places[3]) == [1, 2]
    assert replayed(None, places[1]) == [0]
    assert replayed(places[1], times[3]) == [1, 2]
    assert replayed(times[1], places[3]) == [1, 2]
    assert replayed(times[3], times[1]) == replayed(places[3], places[1]) == []


def test_a_range_of_many_events_is_replayed_in_several_transactions(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "LOOKED_AT", 2)
    billing = endpoint(client, name="billing", types=["task.submitted"])
    for n in range(5):
        client.submit("echo", {"value": n}).cancel()
    query(client, "DELETE FROM agent_tasks.deliveries")
    assert client.webhooks.replay_range("billing") == 5
    assert len({row["task_id"] for row in deliveries(client, billing)}) == 5
    entries = [entry.data for entry in client.audit() if entry.operation == "replay_deliveries"]
    assert entries == [{"only": "failed", "deliveries": 1}] * 5


def test_a_wait_that_was_told_of_is_delivered_before_the_end_whichever_is_replayed_first(client: AgentTasks) -> None:
    billing = endpoint(client, name="billing")
    taken = claimed(client)
    with client.database.connection() as connection:
        park(connection, taken, "go")
    client.get(taken.id).cancel()
    for row in deliveries(client, billing):
        ended(client, row["id"])
    for row in reversed(deliveries(client, billing)):
        client.webhooks.replay(row["id"])
    rows = sorted(pending(client, billing), key=lambda row: row["seq"])
    assert [row["type"] for row in rows] == ["task.submitted", "task.waiting", "task.cancelled"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"only": "some"}, "only"), ({"only": None}, "only"), ({"after": 7}, "after"), ({"until": "x"}, "until"),
        ({"after": "2026-11-27"}, "after"), ({"after": "2026-11-27T09:00:00"}, "after"), ({"identity": 7}, "identity"),
        ({"webhook": ""}, "webhook"), ({"webhook": 7}, "webhook"), ({"tenant": 7}, "tenant"),
        ({"tenant": "\0"}, "tenant"),
    ],
)  # fmt: skip
def test_what_is_no_argument_is_refused(client: AgentTasks, options: Any, field: str) -> None:
    endpoint(client, name="billing")
    with pytest.raises(InvalidInput) as refused:
        client.webhooks.replay_range(**{"webhook": "billing", **options})
    assert refused.value.details["field"] == field

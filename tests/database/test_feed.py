"""The feed: all that happened in a tenant, each event once, in the order of the commits."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from agent_tasks import AgentTasks, Identity, aio
from agent_tasks.client.feed import FeedEvent
from agent_tasks.errors import InvalidInput
from agent_tasks.store.queries import feed as queries
from tests.database import claimed, emit, query, submitted
from tests.database.webhooks import called_back, endpoint
from tests.documents import blocks

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
EVE = Identity(subject="eve", tenant="other", scopes=("tasks:all",))


def read_all(client: AgentTasks, after: str | None = None, **options: Any) -> tuple[list[FeedEvent], str]:
    """What there is behind a place, page by page, and from where to go on."""
    found: list[FeedEvent] = []
    while True:
        page = client.webhooks.feed(after=after, **options)
        found += page.events
        after = page.next
        if not page.more:
            return found, after


def types_of(events: list[FeedEvent]) -> list[str]:
    return [event.type for event in events]


def test_events_come_in_their_order_and_each_once(client: AgentTasks) -> None:
    endpoint(client)
    tasks = [client.submit("echo", {"value": n}) for n in range(5)]
    for task in reversed(tasks):
        task.cancel()
    events, place = read_all(client, limit=3)
    assert types_of(events) == ["task.submitted"] * 5 + ["task.cancelled"] * 5
    ids = [task.id for task in [*tasks, *reversed(tasks)]]
    assert [event.data["task_id"] for event in events] == [str(id) for id in ids]
    assert read_all(client, place)[0] == []
    later = client.submit("echo", {"value": 9})
    (event,), _ = read_all(client, place)
    assert event.data["task_id"] == str(later.id)


def test_an_event_says_what_a_webhook_says(client: AgentTasks) -> None:
    endpoint(client)
    task = client.submit("echo", {"value": 1})
    task.cancel()
    (submit, cancel), _ = read_all(client)
    snapshot = task.snapshot()
    (stored,) = [event for event in task.events() if event.type == "finished"]
    assert (cancel.id, cancel.type, cancel.timestamp) == (
        f"evt_{task.id.hex}_{stored.seq}", "task.cancelled", stored.at,
    )  # fmt: skip
    assert cancel.data == {
        "task_id": str(task.id), "agent": "echo", "status": "cancelled", "version": snapshot.version,
        "sequence": stored.seq, "link": f"http://127.0.0.1:8000/tasks/{task.id}",
    }  # fmt: skip
    assert (submit.data["status"], submit.data["sequence"]) == ("pending", 1)


def test_what_is_committed_late_is_not_passed_over(client: AgentTasks) -> None:
    """Its id, its time and its transaction are older than what was there to read long before it."""
    endpoint(client)
    before = client.submit("echo", {"value": 0})
    with psycopg.connect(client.settings.database_url) as slow:
        late = client.submit("echo", {"value": 1}, connection=slow)
        early = client.submit("echo", {"value": 2})
        events, place = read_all(client)
        assert [event.data["task_id"] for event in events] == [str(before.id)], "what came after it is kept back"
        slow.commit()
    events, _ = read_all(client, place)
    assert [event.data["task_id"] for event in events] == [str(late.id), str(early.id)]


def test_what_is_rolled_back_holds_up_nothing_once_it_is(client: AgentTasks) -> None:
    endpoint(client)
    with psycopg.connect(client.settings.database_url) as slow:
        client.submit("echo", {"value": 1}, connection=slow)
        kept = client.submit("echo", {"value": 2})
        assert read_all(client)[0] == []
        slow.rollback()
    assert [event.data["task_id"] for event in read_all(client)[0]] == [str(kept.id)]


def test_a_reader_beside_writers_whose_commits_cross_reads_each_event_once(client: AgentTasks) -> None:
    """Each of two writers begins while the other's transaction is open, whoever of them commits first."""
    endpoint(client)
    rounds, written = 15, list[str]()
    barrier = threading.Barrier(2)

    def write() -> None:
        with psycopg.connect(client.settings.database_url) as mine:
            for n in range(rounds):
                task = client.submit("echo", {"value": n}, connection=mine)
                barrier.wait(20)
                mine.commit()
                written.append(str(task.id))

    read: list[str] = []
    place = None
    with ThreadPoolExecutor(2) as threads:
        writers = [threads.submit(write) for _ in range(2)]
        while not all(writer.done() for writer in writers):
            events, place = read_all(client, place, limit=2)
            read += [event.data["task_id"] for event in events]
        for writer in writers:
            writer.result()
    read += [event.data["task_id"] for event in read_all(client, place)[0]]
    assert len(read) == 2 * rounds
    assert set(read) == set(written)


def test_async_callers_have_the_same(client: AgentTasks) -> None:
    endpoint(client, name="billing")
    client.submit("echo", {"value": 1}).cancel()
    webhooks = aio.AsyncAgentTasks(client).webhooks
    assert asyncio.run(webhooks.feed()).events == read_all(client)[0]
    page = asyncio.run(webhooks.deliveries(webhook="billing", limit=1))
    assert asyncio.run(webhooks.delivery(page.deliveries[0].id)) == page.deliveries[0]
    assert asyncio.run(webhooks.replay(page.deliveries[0].id)).id == page.deliveries[0].id
    assert asyncio.run(webhooks.replay_range("billing")) == 2


def test_each_sees_what_it_may(client: AgentTasks) -> None:
    for tenant in ("acme", "other", ""):
        endpoint(client, tenant)
    for identity in (ANA, BOB, EVE, None):
        client.submit("echo", {"value": 1}, identity=identity)
    assert len(read_all(client, identity=ANA)[0]) == len(read_all(client, identity=BOB)[0]) == 1
    assert read_all(client, identity=ANA)[0] != read_all(client, identity=BOB)[0]
    assert len(read_all(client, identity=BOSS)[0]) == 2
    assert len(read_all(client, identity=EVE)[0]) == 1
    assert read_all(client, identity=EVE, tenant="acme")[0] == []
    assert len(read_all(client, tenant="acme")[0]) == 2
    assert len(read_all(client)[0]) == 1
    nobody = Identity(subject="ana", scopes=("tasks:all",))
    assert read_all(client, identity=nobody)[0] == [], "tasks without an identity are a trusted program's"


def test_what_is_of_no_task_is_for_those_who_see_the_whole_tenant(client: AgentTasks) -> None:
    sql = """
        INSERT INTO agent_tasks.outbox (type, tenant, data) 
        VALUES ('webhook.disabled', 'acme', '{"webhook": "billing"}') RETURNING id
    """
    (row,) = query(client, sql)
    ((event,), _) = read_all(client, identity=BOSS)
    assert (event.id, event.type, event.data) == (f"evt_{row['id']}", "webhook.disabled", {"webhook": "billing"})
    assert read_all(client, identity=ANA)[0] == []


def test_without_an_endpoint_the_feed_has_the_tasks_with_a_callback(client: AgentTasks) -> None:
    submitted(client)
    called = called_back(client, submitted(client))
    client.get(called).cancel()
    ((event,), _) = read_all(client)
    assert (event.type, event.data["task_id"]) == ("task.cancelled", str(called))


def test_an_event_of_an_agent_has_its_own_name(client: AgentTasks) -> None:
    endpoint(client)
    taken = claimed(client)
    with client.database.connection() as connection:
        emit(connection, taken)
    assert types_of(read_all(client)[0]) == ["task.submitted", "found"]


def places_of(client: AgentTasks, **options: Any) -> Iterator[queries.Found]:
    """What pages hold that look at two events each."""
    after = queries.OLDEST
    while True:
        with client.database.connection() as connection:
            found = queries.events(connection, "acme", BOB, after=after, looked_at=2, **options)
        yield found
        if found.read_until == found.now:
            return
        assert found.next > after
        after = found.next


def test_events_of_another_server_are_there_again_once_their_transactions_are_said_to_be_over(
    client: AgentTasks,
) -> None:
    (statement,) = [block for block in blocks("docs/operations.md", "sql") if "xid" in block]
    endpoint(client)
    first, second = (client.submit("echo", {"value": n}) for n in range(2))
    query(client, "UPDATE agent_tasks.outbox SET xid = '500000000000'")
    third = client.submit("echo", {"value": 2})
    assert [event.data["task_id"] for event in read_all(client)[0]] == [str(third.id)]
    query(client, "UPDATE agent_tasks.outbox SET xid = '500000000000'")
    query(client, statement)
    last = client.submit("echo", {"value": 3})
    told_of = [event.data["task_id"] for event in read_all(client, limit=1)[0]]
    assert told_of == [str(task.id) for task in (first, second, third, last)]


def test_a_page_of_another_tenant_leads_nowhere(client: AgentTasks) -> None:
    """Its places would tell what happened there."""
    endpoint(client, "acme")
    for identity in (ANA, BOB, BOB):
        client.submit("echo", {"value": 1}, identity=identity)
    with client.database.connection() as connection:
        found = queries.events(connection, "acme", EVE, looked_at=1)
        assert queries.events(connection, "acme", BOB, looked_at=1).next != queries.OLDEST
    assert (found.rows, found.next, found.read_until) == ([], queries.OLDEST, found.now)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_page_that_looks_at_others_events_alone_leads_on(client: AgentTasks, limit: int) -> None:
    endpoint(client, "acme")
    for identity in (*[ANA] * 5, BOB, *[ANA] * 3, BOB, BOB):
        client.submit("echo", {"value": 1}, identity=identity)
    pages = list(places_of(client, limit=limit))
    rows = [row["id"] for page in pages for row in page.rows]
    assert len(rows) == 3
    assert rows == sorted(set(rows))
    assert [] in [list(page.rows) for page in pages[:-1]]


def test_a_reader_that_was_away_for_longer_than_events_are_kept_is_told_so(client: AgentTasks) -> None:
    endpoint(client)
    submitted(client)
    _, place = read_all(client)
    short = AgentTasks(client.settings.model_copy(update={"delivery_seconds": 1e-6}))
    with pytest.raises(InvalidInput, match="AGENT_TASKS_DELIVERY_SECONDS") as refused:
        short.webhooks.feed(after=place)
    assert refused.value.details == {"field": "after", "expired": True}
    assert len(read_all(short)[0]) == 1
    short.close()


def test_a_reader_that_asks_now_and_then_is_not_taken_to_have_been_away(client: AgentTasks) -> None:
    """However long ago the last event was: what it has read is told by when it asked."""
    endpoint(client)
    submitted(client)
    query(client, "UPDATE agent_tasks.outbox SET at = at - interval '9 d'")
    _, place = read_all(client)
    assert read_all(client, place)[0] == []


@pytest.mark.parametrize("after", ["", "x", "AAAA", "ä", "A" * 36, "f" * 36, 7, b"x"])
def test_a_cursor_from_elsewhere_is_refused(client: AgentTasks, after: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        client.webhooks.feed(after=after)
    assert refused.value.details["field"] == "after"


def test_the_cursors_of_other_lists_are_refused(client: AgentTasks) -> None:
    endpoint(client)
    for _ in range(2):
        submitted(client)
    page = client.search(limit=1)
    sent = client.webhooks.deliveries(limit=1)
    for cursor in (page.next, sent.next):
        assert cursor is not None
        with pytest.raises(InvalidInput, match="no cursor of a feed"):
            client.webhooks.feed(after=cursor)


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 1001}, {"limit": "7"}, {"tenant": 7}, {"identity": "ana"}])
def test_what_is_no_argument_is_refused(client: AgentTasks, options: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        client.webhooks.feed(**options)
    assert refused.value.details["field"] == next(iter(options))

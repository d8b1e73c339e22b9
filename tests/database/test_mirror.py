"""The status mirror: never behind what it has shown, and never needed."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from agent_tasks import AgentTasks, TaskSnapshot
from agent_tasks.client.handle import TaskHandle
from agent_tasks.doorbell.mirror import LARGEST, PREFIX, key
from agent_tasks.store.rows import Row
from agent_tasks.transitions import spend
from agent_tasks.transitions.complete import Finish
from tests.database import claimed, query, row_of
from tests.database.single import complete
from tests.eventually import eventually
from tests.mirrors import mirror_of


@pytest.fixture
def away(client: AgentTasks) -> Iterator[AgentTasks]:
    """The same deployment, seen by a program that cannot reach Redis."""
    away = AgentTasks(client.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    yield away
    away.close()


def looked_at(client: AgentTasks) -> TaskHandle:
    """A task that somebody looks at: it is mirrored."""
    task = client.submit("echo")
    client.get(task.id)
    return task


def raw(client: AgentTasks, task_id: UUID) -> dict[bytes, bytes]:
    return client.redis.hgetall(key(task_id))  # type: ignore[return-value]


MOVES = st.sampled_from(["commit", "publish", "publish late", "announce", "read", "fill", "expire"])


@hypothesis(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(MOVES, st.integers(min_value=0, max_value=5)), min_size=5, max_size=40))
def test_the_mirror_never_goes_back_whoever_is_late_and_whatever_is_lost(
    client: AgentTasks, moves: list[tuple[str, int]]
) -> None:
    """Writers publish in any order, readers stand still anywhere between their steps, entries expire at any time."""
    mirror, task = mirror_of(client), client.submit("echo").stored()
    client.redis.delete(key(task.id))
    committed, shown = [1], 0
    announced: list[str] = []
    read: list[tuple[str, int]] = []

    def of(version: int) -> TaskSnapshot:
        return task.model_copy(update={"version": version, "step": f"step{version}"})

    for move, which in moves:
        if move == "commit":
            committed.append(committed[-1] + 1)
        elif move == "publish":
            mirror.put(of(committed[-1]))
        elif move == "publish late":
            mirror.put(of(committed[which % len(committed)]))
        elif move == "announce":
            announced.append(mirror.announce(task.id))
        elif move == "read" and announced:
            read.append((announced.pop(which % len(announced)), committed[-1]))
        elif move == "fill" and read:
            reader, version = read.pop(which % len(read))
            mirror.fill(of(version), reader)
        elif move == "expire":
            client.redis.delete(key(task.id))
        seen = mirror.get(task.id)
        assert seen is None or (seen.version >= shown and seen.step == f"step{seen.version}")
        shown = max(shown, seen.version if seen else 0)
        if move == "publish":
            shown = max(shown, committed[-1])  # who was told of it may have looked into Postgres


@pytest.mark.parametrize("lost", ["expired", "flushed"])
def test_a_late_writer_does_not_set_back_what_is_gone(client: AgentTasks, lost: str) -> None:
    task = looked_at(client)
    old = client.find_row(task.id)
    task.cancel()
    assert client.get(task.id).snapshot().status == "cancelled"
    client.redis.delete(key(task.id)) if lost == "expired" else client.redis.flushall()
    client.publish([old])
    assert client.get(task.id).snapshot().status == "cancelled"


def test_what_nobody_looks_at_is_not_mirrored(client: AgentTasks) -> None:
    task = client.submit("echo")
    with client.database.connection() as connection:
        client.publish([complete(connection, Finish(claimed(client, task.id), "1", 0))])
    assert client.redis.keys("agent-tasks:task:*") == []
    assert client.get(task.id).snapshot().result == 1
    assert client.redis.keys("agent-tasks:task:*") == [key(task.id).encode()]


def test_a_change_published_while_a_reader_is_in_postgres_is_not_covered_by_what_that_has_read(
    client: AgentTasks,
) -> None:
    mirror, task = mirror_of(client), client.submit("echo")
    reader = mirror.announce(task.id)
    old = client.find_row(task.id)
    client.get(task.id).cancel()
    mirror.fill(TaskSnapshot.from_row(old), reader)
    assert client.get(task.id).snapshot().status == "cancelled"


def test_word_is_given_of_each_new_version_and_of_no_old_one(client: AgentTasks) -> None:
    mirror, snapshot = mirror_of(client), looked_at(client).stored()
    pubsub: Any = client.redis.pubsub()
    pubsub.subscribe(key(snapshot.id))
    assert pubsub.get_message(timeout=2)["type"] == "subscribe"
    for version in (1, 3, 3, 2, 9, 10, 9):
        mirror.put(snapshot.model_copy(update={"version": version}))
    client.redis.publish(key(snapshot.id), "end")
    heard: list[bytes] = []
    while b"end" not in heard:
        heard.append(pubsub.get_message(timeout=2)["data"])
    pubsub.close()
    assert heard == [b"3", b"9", b"10", b"end"]


def test_word_is_given_where_nothing_is_mirrored(client: AgentTasks) -> None:
    task = client.submit("echo")
    client.redis.flushall()
    heard: list[str | None] = []
    with client.notices.listening(key(task.id), heard.append):
        eventually(lambda: heard == [None])  # it listens
        client.get(task.id).cancel()
        eventually(lambda: "2" in heard)


def test_no_word_is_given_of_a_submit_since_nobody_can_have_looked_at_the_task(client: AgentTasks) -> None:
    pubsub: Any = client.redis.pubsub()
    pubsub.psubscribe(f"{PREFIX}*")
    assert pubsub.get_message(timeout=2)["type"] == "psubscribe"
    task = client.submit("echo")
    task.cancel()
    heard = pubsub.get_message(timeout=2)
    pubsub.close()
    assert (heard["channel"], heard["data"]) == (key(task.id).encode(), b"2")


def test_a_mirrored_snapshot_is_the_stored_one(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": "é"}, metadata={"a": [1, None, {"b": 0.1}]})
    client.get(task.id)
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        spend.charge(connection, taken, tokens=3, usd=0.1)
        client.publish([client.find_row(task.id)])
        client.publish([complete(connection, Finish(taken, '{"big": 123456789012345678901234, "é": "😀"}', 0))])
    assert mirror_of(client).get(task.id) == task.stored()


def test_a_sensitive_task_is_mirrored_as_a_version_only(client: AgentTasks) -> None:
    task = client.submit("sensitive", {"folder": "f", "secret": "shibboleth"})
    client.get(task.id)
    assert set(raw(client, task.id)) == {b"version", b"snapshot"}
    assert raw(client, task.id)[b"snapshot"] == b""
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        client.publish([complete(connection, Finish(taken, '"shibboleth"', 0))])
    assert task.wait(timeout=5).result == "shibboleth"
    for name in client.redis.keys("*"):  # type: ignore[union-attr]
        dump = client.redis.dump(name)
        assert dump is None or b"shibboleth" not in dump


def test_a_large_snapshot_is_read_from_postgres(client: AgentTasks) -> None:
    task = looked_at(client)
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        row: Row = complete(connection, Finish(taken, '"' + "x" * LARGEST + '"', 0))
    client.publish([row])
    assert mirror_of(client).get(task.id) is None
    assert len(task.wait(timeout=5).result) == LARGEST


@pytest.mark.parametrize(
    "lost", ["nothing", "flushed", "this one", "hidden", "not ours", "older", "of another release"]
)
def test_a_snapshot_is_the_newest_one_whatever_the_mirror_holds(client: AgentTasks, lost: str) -> None:
    task = looked_at(client)
    old = raw(client, task.id)
    assert task.cancel().version == 2
    name = key(task.id)
    if lost == "flushed":
        client.redis.flushall()
    elif lost == "this one":
        client.redis.delete(name)
    elif lost == "hidden":
        client.redis.hset(name, "snapshot", "")
    elif lost == "not ours":
        client.redis.delete(name)
        client.redis.set(name, "text")
    elif lost == "older":
        client.redis.hset(name, mapping=old)  # type: ignore[arg-type]
    elif lost == "of another release":
        client.redis.hset(name, mapping={"snapshot": '{"id": 7}'})
    assert task.snapshot().status == "cancelled"


def test_a_flushed_mirror_is_filled_again_by_its_readers(client: AgentTasks) -> None:
    task = client.submit("echo")
    task.cancel()
    client.redis.flushall()
    assert client.get(task.id).snapshot().status == "cancelled"
    assert mirror_of(client).get(task.id) == task.stored()


def test_a_snapshot_needs_no_redis(client: AgentTasks, away: AgentTasks) -> None:
    task = client.submit("echo")
    handle = away.get(task.id)
    assert handle.snapshot().status == "pending"
    assert task.cancel().status == "cancelled"
    assert handle.snapshot().status == "cancelled"


def test_a_mirror_that_fell_behind_forgets_a_living_task_within_a_lease(client: AgentTasks) -> None:
    living, ended = looked_at(client), looked_at(client)
    ended.cancel()
    assert 0 < client.redis.pttl(key(living.id)) <= client.settings.lease_seconds * 1000  # type: ignore[operator]
    assert 50 < client.redis.ttl(key(ended.id)) <= 60  # type: ignore[operator]


def test_one_observer_never_sees_an_older_version_than_before(client: AgentTasks) -> None:
    task = looked_at(client)
    old = raw(client, task.id)
    task.cancel()
    client.redis.delete(key(task.id))
    client.redis.hset(key(task.id), mapping=old)  # type: ignore[arg-type]
    assert task.snapshot().version == 2
    assert task.snapshot().version == 2


def test_a_purged_tasks_mirror_is_no_task(client: AgentTasks) -> None:
    task = looked_at(client)
    query(client, "DELETE FROM agent_tasks.tasks WHERE id = %s", task.id)
    assert client.redis.exists(f"{PREFIX}{task.id}") == 1
    client.redis.flushall()
    with pytest.raises(LookupError):
        client.get(task.id)


def test_an_acknowledgement_once_seen_is_not_taken_back_by_a_slower_reader(client: AgentTasks) -> None:
    task = client.submit("echo")
    slower = task.cancel()
    assert task.acknowledge().acknowledged_at is not None
    mirror_of(client).put(slower)
    assert client.get(task.id).snapshot().acknowledged_at is not None
    assert row_of(client, task.id)["acknowledged_at"] is not None

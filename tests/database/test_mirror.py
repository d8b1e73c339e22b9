"""The status mirror: never behind what it has shown, and never needed."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from agent_tasks import AgentTasks, TaskSnapshot
from agent_tasks.mirror import LARGEST, PREFIX, Mirror, key
from agent_tasks.transitions import spend
from agent_tasks.transitions.complete import Finish, complete
from agent_tasks.transitions.rows import Row
from tests.database import claimed, query, row_of


@pytest.fixture
def away(client: AgentTasks) -> Iterator[AgentTasks]:
    """The same deployment, seen by a program that cannot reach Redis."""
    away = AgentTasks(client.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    yield away
    away.close()


def of_version(client: AgentTasks, version: int) -> TaskSnapshot:
    task = client.submit("echo")
    client.redis.delete(key(task.id))
    return task.stored().model_copy(update={"version": version})


def raw(client: AgentTasks, task_id: UUID) -> dict[bytes, bytes]:
    return client.redis.hgetall(key(task_id))  # type: ignore[return-value]


@hypothesis(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(min_value=1, max_value=12), st.booleans(), st.booleans()), min_size=1, max_size=20)
)
def test_puts_in_any_order_never_make_it_regress(client: AgentTasks, puts: list[tuple[int, bool, bool]]) -> None:
    mirror, snapshot = client.publisher.mirror, of_version(client, 1)
    client.redis.delete(key(snapshot.id))
    highest = 0
    for version, hidden, piped in puts:
        put = snapshot.model_copy(update={"version": version, "step": f"step{version}"})
        if piped:
            with client.redis.pipeline(transaction=False) as pipeline:
                mirror.put(put, pipeline, hidden=hidden)
                pipeline.execute()
        else:
            mirror.put(put, hidden=hidden)
        highest = max(highest, version)
        assert int(raw(client, snapshot.id)[b"version"]) == highest
        seen = mirror.get(snapshot.id)
        assert seen is None or (seen.version, seen.step) == (highest, f"step{highest}")


def test_word_is_given_of_each_new_version_and_of_no_old_one(client: AgentTasks) -> None:
    mirror, snapshot = client.publisher.mirror, of_version(client, 1)
    client.redis.delete(key(snapshot.id))
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
    assert heard == [b"1", b"3", b"9", b"10", b"end"]


def test_a_mirrored_snapshot_is_the_stored_one(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": "é"}, metadata={"a": [1, None, {"b": 0.1}]})
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        spend.charge(connection, taken, tokens=3, usd=0.1)
        client.publish([client.find_row(task.id)])
        client.publish([complete(connection, Finish(taken, '{"big": 123456789012345678901234, "é": "😀"}', 0))])
    assert client.publisher.mirror.get(task.id) == task.stored()


def test_a_sensitive_task_is_mirrored_as_a_version_only(client: AgentTasks) -> None:
    task = client.submit("sensitive", {"folder": "f", "secret": "shibboleth"})
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
    task = client.submit("echo")
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        row: Row = complete(connection, Finish(taken, '"' + "x" * LARGEST + '"', 0))
    client.publish([row])
    assert client.publisher.mirror.get(task.id) is None
    assert len(task.wait(timeout=5).result) == LARGEST


@pytest.mark.parametrize(
    "lost", ["nothing", "flushed", "this one", "hidden", "not ours", "older", "of another release"]
)
def test_a_snapshot_is_the_newest_one_whatever_the_mirror_holds(client: AgentTasks, lost: str) -> None:
    task = client.submit("echo")
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
    assert client.publisher.mirror.get(task.id) == task.stored()


def test_a_snapshot_needs_no_redis(client: AgentTasks, away: AgentTasks) -> None:
    task = client.submit("echo")
    handle = away.get(task.id)
    assert handle.snapshot().status == "pending"
    assert task.cancel().status == "cancelled"
    assert handle.snapshot().status == "cancelled"


def test_a_mirror_that_fell_behind_forgets_a_living_task_within_a_lease(client: AgentTasks) -> None:
    living, ended = client.submit("echo"), client.submit("echo")
    ended.cancel()
    assert 0 < client.redis.pttl(key(living.id)) <= client.settings.lease_seconds * 1000  # type: ignore[operator]
    assert client.redis.ttl(key(ended.id)) > 3000  # type: ignore[operator]


def test_one_observer_never_sees_an_older_version_than_before(client: AgentTasks) -> None:
    task = client.submit("echo")
    old = raw(client, task.id)
    task.cancel()
    client.redis.delete(key(task.id))
    client.redis.hset(key(task.id), mapping=old)  # type: ignore[arg-type]
    assert task.snapshot().version == 2
    assert task.snapshot().version == 2


def test_a_purged_tasks_mirror_is_no_task(client: AgentTasks) -> None:
    mirror = Mirror(client.redis, living_seconds=60, keys=[b"key"])
    task = client.submit("echo")
    mirror.put(task.stored())
    query(client, "DELETE FROM tasks WHERE id = %s", task.id)
    assert client.redis.exists(f"{PREFIX}{task.id}") == 1
    client.redis.flushall()
    with pytest.raises(LookupError):
        client.get(task.id)


def test_an_acknowledgement_once_seen_is_not_taken_back_by_a_slower_reader(client: AgentTasks) -> None:
    task = client.submit("echo")
    slower = task.cancel()
    assert task.acknowledge().acknowledged_at is not None
    client.publisher.mirror.put(slower)
    assert client.get(task.id).snapshot().acknowledged_at is not None
    assert row_of(client, task.id)["acknowledged_at"] is not None

"""Bells that nobody answered: rung again where they were lost, and not where they wait."""

import json
from collections.abc import Iterator

import pytest

from agent_tasks import AgentTasks
from agent_tasks.doorbell.celery_app import SWEEP_QUEUE
from agent_tasks.doorbell.lists import OURS
from agent_tasks.sweeps import bells
from agent_tasks.sweeps.application import NAMES, make_beat_app
from agent_tasks.sweeps.clock import MOST_TICKS, Clock
from tests.database import fall_due, query, submitted


def queued(client: AgentTasks, queue: str = "agents") -> int:
    return client.bells.waiting([queue])[queue] or 0


def all_overdue(client: AgentTasks) -> None:
    query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() - interval '1 ms' WHERE status = 'pending'")


def again(client: AgentTasks) -> int:
    """How many events say that a bell was rung again."""
    return query(client, "SELECT count(*) AS n FROM agent_tasks.events WHERE data -> 'again' = 'true'")[0]["n"]


def test_a_backlog_whose_bells_all_wait_is_not_rung_again_however_long_it_lasts(client: AgentTasks) -> None:
    client.submit_many("echo", [{}] * 600, priority=5)
    client.submit_many("echo", [{}] * 100, priority=9)
    versions = query(client, "SELECT id, version FROM agent_tasks.tasks ORDER BY id")
    for _ in range(12):
        all_overdue(client)
        assert bells.run_once(client) == 700
        assert bells.run_once(client) == 0, "they are looked at later"
    assert queued(client) == 700
    assert again(client) == 0
    assert query(client, "SELECT id, version FROM agent_tasks.tasks ORDER BY id") == versions, (
        "nobody sees a change where none is"
    )


def test_bells_that_were_lost_are_rung_while_those_of_others_wait(client: AgentTasks) -> None:
    """After an empty Redis the tasks fall due one after the other; the bells of the first do not hold up the last."""
    client = AgentTasks(client.settings.model_copy(update={"ring_seconds": 600.0}))  # none falls due by itself
    tasks = [task.id for task in client.submit_many("echo", [{}] * 100)]
    client.redis.flushall()
    for n, task in enumerate(tasks):
        fall_due(client, task)
        assert bells.run_once(client) == 1
        assert queued(client) == n + 1 or n >= 94
    assert again(client) >= 95
    client.close()


def test_where_many_bells_are_missing_all_that_are_due_are_rung_once(client: AgentTasks) -> None:
    client = AgentTasks(client.settings.model_copy(update={"ring_seconds": 600.0}))  # none falls due by itself
    client.submit_many("echo", [{}] * 1_100)
    for key in OURS.of("agents"):
        client.redis.ltrim(key, 0, 899)
    all_overdue(client)
    assert bells.run_once(client) == 1_100
    assert queued(client) == 2_000
    all_overdue(client)
    bells.run_once(client)
    assert queued(client) == 2_000
    client.close()


def test_a_queue_that_is_full_holds_up_no_other(client: AgentTasks) -> None:
    client.submit_many("echo", [{}] * 20)
    lonely = submitted(client, queue="far")
    for key in OURS.of("far"):
        client.redis.delete(key)
    all_overdue(client)
    bells.run_once(client)
    assert (queued(client), queued(client, "far")) == (20, 1)
    rung = query(client, "SELECT task_id FROM agent_tasks.events WHERE data -> 'again' = 'true'")
    assert [row["task_id"] for row in rung] == [lonely]


def test_a_bell_that_was_lost_in_a_queue_that_a_teams_messages_fill_is_rung_again(client: AgentTasks) -> None:
    tasks = {submitted(client), submitted(client)}
    client.redis.rpop(next(key for key in OURS.of("agents") if client.redis.exists(key)))
    theirs = json.dumps({"body": "W10=", "headers": {"task": "shop.sell", "id": "1"}, "properties": {}})
    client.redis.rpush("agents", *[theirs] * 1_000)
    assert (queued(client), client.bells.bells_waiting(["agents"])) == (1_001, {"agents": None})
    all_overdue(client)
    assert bells.run_once(client) == 2
    rung = query(client, "SELECT task_id FROM agent_tasks.events WHERE data -> 'again' = 'true'")
    assert {row["task_id"] for row in rung} == tasks
    assert queued(client) == 1_003


@pytest.mark.parametrize("end", ["lpush", "rpush"])
def test_what_is_no_bell_is_seen_at_either_end_of_a_queue(client: AgentTasks, end: str) -> None:
    client.submit_many("echo", [{}] * 50)
    assert client.bells.bells_waiting(["agents", "far"]) == {"agents": 50, "far": 0}
    for message in ("no message at all", "[]", '{"headers": null}'):
        getattr(client.redis, end)("agents", message)
        assert client.bells.bells_waiting(["agents"]) == {"agents": None}
        getattr(client.redis, "lpop" if end == "lpush" else "rpop")("agents")


def test_a_queue_whose_key_is_something_else_in_redis_holds_up_no_other(
    client: AgentTasks, caplog: pytest.LogCaptureFixture
) -> None:
    client.redis.hset("unacked", "kept", "by kombu")
    strange, plain = submitted(client, queue="unacked", priority=9), submitted(client)
    client.redis.delete(*OURS.of("agents"))
    client.publish([client.find_row(strange), client.find_row(plain)])
    assert queued(client) == 1
    assert not client.publisher._unsent._rows, "it would be rung each second, and all others with it"
    assert "Redis refuses LPUSH for the key unacked: ResponseError: WRONGTYPE" in caplog.text
    assert client.bells.waiting(["unacked", "agents"]) == {"unacked": None, "agents": 1}
    client.redis.delete(*OURS.of("agents"))
    all_overdue(client)
    bells.run_once(client)
    assert queued(client) == 1


def test_while_redis_is_away_bells_are_rung_for_when_it_is_back(
    client: AgentTasks,
) -> None:
    submitted(client)
    all_overdue(client)
    away = AgentTasks(client.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    try:
        assert bells.run_once(away) == 1
    finally:
        away.close()
    assert again(client) == 1


@pytest.fixture
def clock(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
    clock = Clock(app=make_beat_app())
    clock.setup_schedule()
    yield clock
    clock.close()


def tick(clock: Clock, times: int) -> None:
    assert clock.schedule is not None
    entries = list(clock.schedule.values())
    for n in range(times):
        clock.apply_entry(entries[n % len(entries)], producer=clock.producer)


def test_ticks_that_nobody_takes_do_not_pile_up(client: AgentTasks, clock: Clock) -> None:
    tick(clock, 3)
    assert queued(client, SWEEP_QUEUE) == 3
    tick(clock, 100)
    assert queued(client, SWEEP_QUEUE) == MOST_TICKS
    client.redis.rpop(SWEEP_QUEUE, 5)
    tick(clock, 3)
    assert queued(client, SWEEP_QUEUE) == MOST_TICKS - 2


def test_a_tick_carries_no_time_that_the_clock_of_another_machine_could_take_for_over(
    client: AgentTasks, clock: Clock
) -> None:
    tick(clock, len(clock.schedule))
    messages = [json.loads(message) for message in client.redis.lrange(SWEEP_QUEUE, 0, -1)]
    assert {message["headers"]["task"] for message in messages} == {f"beat.{name}" for name in NAMES}
    for message in messages:
        assert message["headers"]["expires"] is None
        assert message["headers"]["eta"] is None
        assert "expiration" not in message["properties"]

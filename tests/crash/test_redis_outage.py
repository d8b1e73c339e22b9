"""Redis is a doorbell: it may die, hang or be full, and nothing is lost but time."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests import rows
from tests.agents import notes
from tests.conftest import Fragile
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually

LEASES = """
    SELECT count(*) FILTER (WHERE due_at > clock_timestamp()) AS alive,
        clock_timestamp() - %s > interval '8 s' AS over FROM agent_tasks.tasks
    """


def kill(fragile: Fragile) -> None:
    pid = fragile.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@contextmanager
def hanging(fragile: Fragile) -> Iterator[None]:
    """Redis takes connections and answers nothing."""
    pid = fragile.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def committed(fragile: Fragile) -> int:
    return rows.query(fragile.client, "SELECT count(*) FROM agent_tasks.checkpoints")[0]["count"]


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
def test_a_task_submitted_while_redis_is_down_is_accepted_and_runs_when_it_is_back(fragile: Fragile, pool: str) -> None:
    fragile.processes.fleet(pool=pool, concurrency=2)
    kill(fragile)
    began = time.monotonic()
    tasks = [fragile.client.submit("hops", {"to": 2}) for _ in range(10)]
    assert time.monotonic() - began < 10
    assert tasks[0].snapshot().status == "pending"
    fragile.servers.valkey.start()
    assert [task.result(timeout=40) for task in tasks] == [2] * 10
    rows.assert_all_ran_once(fragile.client, steps=3)


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
def test_a_busy_worker_goes_on_consuming_after_redis_was_killed_twice(
    fragile: Fragile, tmp_path: Path, pool: str
) -> None:
    (worker,) = fragile.processes.fleet(pool=pool, concurrency=4)
    busy = [fragile.client.submit(agent, {"folder": str(tmp_path)}) for agent in ("inattentive", "patient")]
    eventually(lambda: len(runs_on(tmp_path, "waits")) == 2)
    tasks = fragile.client.submit_many("hops", [{"to": 9}] * 30)
    for share in (30, 150):
        eventually(lambda share=share: committed(fragile) > share, 40)
        kill(fragile)
        fragile.servers.valkey.start()
    assert [task.result(timeout=60) for task in tasks] == [9] * 30
    (tmp_path / "go").touch()
    assert [task.result(timeout=30) for task in busy] == ["done"] * 2
    assert worker.is_alive
    assert len(runs_on(tmp_path, "waits")) == 2
    assert rows.query(fragile.client, "SELECT max(run) FROM agent_tasks.tasks WHERE agent <> 'hops'") == [{"max": 1}]
    ended = rows.query(fragile.client, "SELECT count(*) FROM agent_tasks.events WHERE type = 'finished'")
    assert ended == [{"count": 32}]
    assert committed(fragile) == 30 * 10 + 2
    assert fragile.client.submit("echo", {"value": 1}).result(timeout=30) == 1


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
def test_a_redis_that_hangs_costs_no_step_its_lease(fragile: Fragile, tmp_path: Path, pool: str) -> None:
    fragile.processes.fleet(pool=pool, concurrency=2, lease_seconds=1.5)
    tasks = [fragile.client.submit(agent, {"folder": str(tmp_path)}) for agent in ("inattentive", "patient")]
    eventually(lambda: len(runs_on(tmp_path, "waits")) == 2)
    with hanging(fragile):
        (began,) = rows.query(fragile.client, "SELECT clock_timestamp() AS at")

        def eight_seconds_of_leases() -> bool:
            (now,) = rows.query(fragile.client, LEASES, began["at"])
            assert now["alive"] == 2, "a lease has expired"
            return now["over"]

        eventually(eight_seconds_of_leases)
    (tmp_path / "go").touch()
    assert [task.result(timeout=30) for task in tasks] == ["done"] * 2
    assert len(runs_on(tmp_path, "waits")) == 2
    assert not rows.query(fragile.client, "SELECT FROM agent_tasks.events WHERE type = 'expired'")


def test_a_submit_while_redis_hangs_takes_bounded_time(fragile: Fragile) -> None:
    fragile.client.submit("echo", {"value": 0})
    with hanging(fragile):
        began = time.monotonic()
        tasks = [fragile.client.submit("echo", {"value": n}) for n in range(5)]
        assert time.monotonic() - began < 15
    fragile.processes.fleet()
    assert [task.result(timeout=30) for task in tasks] == list(range(5))


def test_tasks_submitted_while_redis_is_full_run_once_it_has_room(fragile: Fragile) -> None:
    fragile.processes.fleet()
    with redis.Redis.from_url(fragile.settings.redis_url) as broker:
        broker.config_set("maxmemory", "1")
        tasks = fragile.client.submit_many("echo", [{"value": n} for n in range(5)])
        assert tasks[0].stored().status == "pending"
        broker.config_set("maxmemory", "0")
    fragile.processes.fleet()  # what does not live through it is started again by its supervisor
    assert [task.result(timeout=30) for task in tasks] == list(range(5))


def test_a_waiter_hears_of_the_end_although_redis_died_meanwhile(fragile: Fragile, tmp_path: Path) -> None:
    fragile.processes.fleet()
    task = fragile.client.submit("patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    kill(fragile)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    types = [event.type for event in task.events(follow=True, timeout=10)]
    assert types[-1] == "finished"
    fragile.servers.valkey.start()

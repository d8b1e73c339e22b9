"""Postgres dies and comes back: what was committed is there, and what was under way runs again."""

import os
import signal
from pathlib import Path

import pytest

from tests import rows
from tests.agents import notes
from tests.conftest import Fragile
from tests.crash.test_killed_workers import runs_on
from tests.crash.test_starting_workers import for_seconds
from tests.eventually import eventually


def kill_and_restart(fragile: Fragile) -> None:
    pid = fragile.servers.postgres.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    fragile.servers.postgres.start()


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
def test_nothing_is_lost_when_postgres_is_killed_under_load(fragile: Fragile, pool: str) -> None:
    fragile.processes.fleet(workers=2, pool=pool, concurrency=2)
    tasks = fragile.client.submit_many("hops", [{"to": 9}] * 40)
    for share in (40, 200):
        eventually(
            lambda share=share: (
                rows.query(fragile.client, "SELECT count(*) FROM agent_tasks.checkpoints")[0]["count"] > share
            ),
            40,
        )
        kill_and_restart(fragile)
    for task in tasks:
        assert eventually(lambda task=task: task.stored().status.is_terminal and task.stored(), 60).result == 9
    rows.assert_all_ran_once(fragile.client, steps=10)


def test_a_step_that_runs_while_postgres_restarts_commits_what_it_has(fragile: Fragile, tmp_path: Path) -> None:
    fragile.processes.fleet(lease_seconds=20.0)
    task = fragile.client.submit("patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    kill_and_restart(fragile)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert len(runs_on(tmp_path, "waits")) == 1


@pytest.mark.slow
def test_calls_that_postgres_could_not_record_do_not_fail_their_task(fragile: Fragile, tmp_path: Path) -> None:
    fragile.processes.fleet(lease_seconds=20.0)
    task = fragile.client.submit("group_of_calls", {"folder": str(tmp_path)})
    eventually(lambda: len(rows.calls(fragile.client, task.id)) > 30)
    kill_and_restart(fragile)
    known = len(rows.calls(fragile.client, task.id))
    eventually(  # it went on as if nothing had been, or began again, or (it should not) has ended
        lambda: (
            len(rows.calls(fragile.client, task.id)) > known + 6
            or len(runs_on(tmp_path, "begins")) == 2
            or task.stored().status.is_terminal
        ),
        30,
    )
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"


def test_postgres_and_redis_and_the_worker_die_at_once(fragile: Fragile, tmp_path: Path) -> None:
    (worker,) = fragile.processes.fleet()
    task = fragile.client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: [c["status"] for c in rows.calls(fragile.client, task.id)] == ["completed"])
    pid = fragile.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    worker.kill()
    kill_and_restart(fragile)
    fragile.servers.valkey.start()
    fragile.processes.worker()
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert notes(tmp_path).count("paid") == 1
    assert rows.checkpoints(fragile.client, task.id) == [(0, "first"), (1, "held"), (2, "last")]


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])
def test_workers_take_steps_seconds_after_a_long_outage(fragile: Fragile, pool: str) -> None:
    """Whatever tries again must not have come to try ever more rarely."""
    (worker,) = fragile.processes.fleet(pool=pool, concurrency=2)
    tasks = fragile.client.submit_many("hops", [{"to": 2}] * 20)
    assert [task.result(timeout=30) for task in tasks] == [2] * 20
    pid = fragile.servers.postgres.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: "takes no steps: Postgres cannot be reached" in worker.output)
    for_seconds(40, lambda: worker.is_alive)
    fragile.servers.postgres.start()
    again = fragile.client.submit_many("hops", [{"to": 2}] * 20)
    assert [task.result(timeout=30) for task in again] == [2] * 20
    assert worker.output.count("takes no steps: Postgres cannot be reached") <= 2  # in each process once

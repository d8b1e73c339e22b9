"""A worker of a team's is killed with SIGKILL, whatever its broker is: nothing is lost, and nothing done twice."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent_tasks import Settings
from tests.eventually import eventually
from tests.processes import ROOT, Processes
from tests.servers.rabbit import rabbitmq
from tests.servers.sentinels import sentinel

WALKS, SLOTS = 40, 4
APP = "tests.apps.brokers.app"


@contextmanager
def broker(kind: str, settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """(URL, transport options) of a broker."""
    if kind == "rabbitmq":
        with rabbitmq() as server:
            yield server.url, {}
    elif kind == "sentinel":
        with sentinel() as (url, master):
            yield url, {"master_name": master}
    else:
        yield settings.redis_url, {"global_keyprefix": "team:"} if kind == "redis with a prefix" else {}


@pytest.mark.parametrize("kind", ["redis", "redis with a prefix", "sentinel", "rabbitmq"])
def test_what_a_killed_worker_held_is_done_by_another_and_what_was_committed_is_not_done_again(
    settings: Settings, processes: Processes, tmp_path: Path, kind: str
) -> None:
    with broker(kind, settings) as (url, options):
        team = processes.environment(agents=("tests.apps.brokers.agents",), sweep_seconds=1.0, quantum_seconds=0)
        if kind == "sentinel":
            team["AGENT_TASKS_REDIS_URL"] = f"{url}?master_name={options['master_name']}"
        team |= {"TEAM_REDIS_URL": url, "TEAM_OPTIONS": json.dumps(options), "TEAM_FOLDER": str(tmp_path)}
        workers = [processes.app(APP, worker(name), team) for name in ("one", "two")]
        processes.app(APP, ["beat", "-s", str(tmp_path / "beat"), "--loglevel", "INFO"], team)
        eventually(lambda: all("@test ready" in each.output for each in workers))
        argv = [sys.executable, "-m", "tests.apps.brokers.program", str(WALKS)]
        program = processes.start("program", argv, {**team, "PYTHONPATH": str(ROOT)})
        notes = tmp_path / "notes"
        eventually(lambda: notes.exists() and len(notes.read_text().splitlines()) >= WALKS // 2)
        workers[0].kill()
        assert program.wait_for_exit() == 0, program.output
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            ended = "SELECT count(*) FROM agent_tasks.tasks WHERE status = 'completed'"
            eventually(lambda: connection.execute(ended).fetchone() == (WALKS,), 90)
            steps = "SELECT count(*), count(DISTINCT (task_id, step_number)) FROM agent_tasks.checkpoints"
            assert connection.execute(steps).fetchone() == (3 * WALKS, 3 * WALKS)
            calls = "SELECT count(*) FROM agent_tasks.calls WHERE status = 'completed'"
            assert connection.execute(calls).fetchone() == (3 * WALKS,)
        done = Counter(line.rpartition(" ")[0] for line in notes.read_text().splitlines())
        assert len(done) == 3 * WALKS
        assert done.total() - len(done) <= SLOTS, "only what the kill cut off is done again"
        assert max(done.values()) <= 2
        assert workers[1].is_alive


def worker(name: str) -> list[str]:
    return ["worker", "-n", f"{name}@test", "-P", "threads", "-c", str(SLOTS), "--without-mingle", "--loglevel", "INFO"]

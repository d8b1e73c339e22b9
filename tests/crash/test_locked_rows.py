"""Somebody has one row locked for long: a person in psql, a cancel of a large tree. Only that row waits."""

from pathlib import Path

import psycopg
import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes

LOCK = "SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE"
pools = pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])


@pytest.mark.parametrize("agent", ["patient", pytest.param("attentive", marks=pytest.mark.slow)])
def test_a_step_whose_row_was_locked_ends_when_it_is_free_and_all_others_go_on_meanwhile(
    client: AgentTasks, processes: Processes, tmp_path: Path, agent: str
) -> None:
    processes.fleet(concurrency=4, lease_seconds=30.0, quantum_seconds=0.0)
    task = client.submit(agent, {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    with psycopg.connect(client.settings.database_url) as rival:
        rival.execute(LOCK, [task.id])
        (tmp_path / "go").touch()
        others = client.submit_many("hops", [{"to": 9}] * 20)
        others += client.submit_many("count_plain", [{"to": 9}] * 20)
        assert [other.result(timeout=30) for other in others] == [9] * 40
        assert task.stored().status == "running"
    assert task.result(timeout=30) == "done"
    assert rows.runs(client, task.id) == [1]


def test_what_one_step_asks_for_at_once_leaves_threads_for_others(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.worker(concurrency=4, lease_seconds=30.0)
    task = client.submit("calls_at_once", {"folder": str(tmp_path), "calls": 60})
    eventually(lambda: notes(tmp_path))
    with psycopg.connect(client.settings.database_url) as rival:
        rival.execute(LOCK, [task.id])
        (tmp_path / "go").touch()
        others = client.submit_many("hops", [{"to": 9}] * 20)
        assert [other.result(timeout=30) for other in others] == [9] * 20
    assert task.result(timeout=30) == 60


@pytest.mark.slow
@pools
def test_no_other_lease_is_lost(client: AgentTasks, processes: Processes, tmp_path: Path, pool: str) -> None:
    processes.fleet(pool=pool, concurrency=4)
    tasks = client.submit_many("patient", [{"folder": str(tmp_path)}] * 4)
    eventually(lambda: len(notes(tmp_path)) == 4)
    with psycopg.connect(client.settings.database_url) as rival:
        rival.execute(LOCK, [tasks[0].id])
        (began,) = rows.query(client, "SELECT clock_timestamp() AS at")
        sql = """
            SELECT bool_and(due_at > clock_timestamp()) AS alive, clock_timestamp() - %s > interval '6 s' AS over
            FROM agent_tasks.tasks WHERE id <> %s
        """

        def three_leases_long() -> bool:
            (now,) = rows.query(client, sql, began["at"], tasks[0].id)
            assert now["alive"]
            return now["over"]

        eventually(three_leases_long)
    (tmp_path / "go").touch()
    assert [task.result(timeout=30) for task in tasks] == ["done"] * 4
    assert [rows.task(client, task.id)["run"] for task in tasks[1:]] == [1] * 3

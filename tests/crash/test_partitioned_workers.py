"""A worker that does not reach Postgres: its messages go to others, its leases last where there is any way."""

import signal
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, Settings
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes
from tests.proxy import Proxy, through


def refuse(proxy: Proxy) -> None:
    proxy.target = "/nowhere"
    proxy.cut()


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("how", ["refused", "swallowed"])
def test_a_worker_that_is_cut_off_puts_its_messages_back_and_takes_no_more_until_it_reaches_postgres(
    client: AgentTasks, settings: Settings, proxy: Proxy, processes: Processes, pool: str, how: str
) -> None:
    there = proxy.target
    cut_off = processes.worker(
        pool=pool, ready=False, ring_seconds=600.0, database_url=through(settings.database_url, proxy)
    )
    other = processes.worker(pool=pool, ready=False, ring_seconds=600.0)
    processes.wait_until_ready(cut_off, other)
    slow = AgentTasks(settings.model_copy(update={"ring_seconds": 600.0}))  # no sweep makes up for a lost message
    assert [task.result(timeout=30) for task in slow.submit_many("hops", [{"to": 2}] * 20)] == [2] * 20
    refuse(proxy) if how == "refused" else proxy.swallow()
    tasks = [slow.submit("hops", {"to": 3}) for _ in range(60)]
    assert [task.result(timeout=40) for task in tasks] == [3] * 60
    eventually(lambda: "takes no steps: " in cut_off.output)
    proxy.target = there
    proxy.flow()
    other.send(signal.SIGTERM)
    other.wait_for_exit()
    assert [task.result(timeout=30) for task in slow.submit_many("hops", [{"to": 2}] * 20)] == [2] * 20
    slow.close()


@pytest.mark.slow
def test_connections_that_are_swallowed_cost_no_lease(
    client: AgentTasks, settings: Settings, proxy: Proxy, processes: Processes, tmp_path: Path
) -> None:
    processes.worker(lease_seconds=4.0, database_url=through(settings.database_url, proxy))
    processes.sweeper()
    processes.beat()
    task = client.submit("patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    proxy.swallow_what_is_open()
    (began,) = rows.query(client, "SELECT clock_timestamp() AS at")
    sql = """
        SELECT due_at > clock_timestamp() AS alive, clock_timestamp() - %s > interval '9 s' AS over
        FROM agent_tasks.tasks WHERE id = %s
    """

    def two_leases_long() -> bool:
        (now,) = rows.query(client, sql, began["at"], task.id)
        assert now["alive"]
        return now["over"]

    eventually(two_leases_long)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert rows.runs(client, task.id) == [1]

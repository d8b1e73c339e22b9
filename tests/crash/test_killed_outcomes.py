"""The end of a Celery task is heard of although the worker of ours that took the message is killed."""

from pathlib import Path

import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes
from tests.shop_processes import begin


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_writes_the_end_of_a_task_loses_nothing(
    client: AgentTasks, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_BROKER", client.settings.redis_url)
    begin(processes, client.settings, "-P", "threads", "-Q", "shop", "--without-mingle")
    first = processes.worker(app="tests.shop:app")
    task = client.submit("shop_parked", {"folder": str(tmp_path), "name": "go"})
    eventually(lambda: task.snapshot().status == "waiting" and len(notes(tmp_path)) == 2)
    with client.database.connection() as connection, connection.transaction():
        connection.execute("SELECT FROM agent_tasks.tasks WHERE id = %s FOR UPDATE", [task.id])
        (tmp_path / "go").touch()
        waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: rows.query(client, waits))
        first.kill()
    processes.worker(app="tests.shop:app")
    assert task.result(timeout=30) == "go"

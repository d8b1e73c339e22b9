"""Pauses with real workers: what runs comes to its end, nothing is begun, and all of it goes on afterwards."""

from pathlib import Path

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes

CLAIMS = """
    SELECT count(*) FROM agent_tasks.events JOIN agent_tasks.tasks ON id = task_id
    WHERE agent = 'relay' AND type = 'claimed'
"""
OLDER = """
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < %s
"""
"""Transactions that may not have seen the pause yet."""
STANDS = """
    SELECT bool_and(status = 'pending' AND put_off_by IS NOT NULL) AS all FROM agent_tasks.tasks WHERE agent = 'relay'
"""


def test_an_agent_that_is_paused_under_load_begins_nothing_and_then_completes_all_once(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    processes.fleet(workers=2)
    tasks = client.submit_many("relay", [{"folder": str(tmp_path)}] * 30)
    eventually(lambda: notes(tmp_path).count("paid") == 30)
    tasks += client.submit_many("relay", [{"folder": str(tmp_path)}] * 200)
    client.pause(agent="relay", reason="too dear")
    (now,) = rows.query(client, "SELECT clock_timestamp() AS at")
    eventually(lambda: not rows.query(client, OLDER, now["at"]))
    begun = rows.query(client, CLAIMS)
    (tmp_path / "go").touch()
    eventually(lambda: rows.query(client, STANDS)[0]["all"])
    assert rows.query(client, CLAIMS) == begun
    assert rows.query(client, "SELECT count(*) FROM agent_tasks.checkpoints WHERE step = 'held'")[0]["count"] >= 30
    assert not any(note.startswith("last") for note in notes(tmp_path))
    assert client.submit("hops", {"to": 2}).result(timeout=30) == 2
    client.resume_paused(agent="relay")
    assert [task.result(timeout=60) for task in tasks] == ["done"] * 230
    rows.assert_all_ran_once(client, steps=3)
    assert notes(tmp_path).count("paid") == 230
    assert rows.query(client, "SELECT FROM agent_tasks.events WHERE type = 'expired'") == []

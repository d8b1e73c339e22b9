"""A worker whose clock is wrong: leases, budgets, timers and retries are Postgres's alone."""

import time
from pathlib import Path

from agent_tasks import AgentTasks, Budget
from tests import rows
from tests.agents import notes
from tests.crash.test_killed_workers import runs_on
from tests.database import fall_due
from tests.eventually import eventually
from tests.processes import Processes

LEFT = "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS seconds FROM agent_tasks.tasks WHERE id = %s"


def test_a_worker_whose_clock_is_an_hour_ahead_works_as_any_other(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    agents = (*client.settings.agents, "tests.crash.an_hour_ahead")
    (wrong,) = processes.fleet(agents=agents)
    said = client.submit("says_when", budget=Budget(seconds=600)).result(timeout=30)
    assert all(3000 < when - time.time() < 5000 for when in said), "its clock is an hour ahead"

    sleeping = client.submit("napper", {"folder": str(tmp_path), "seconds": 3000.0})
    failing = client.submit("told", {"seconds": 3000})
    for task in (sleeping, failing):
        eventually(lambda task=task: task.stored().status == "waiting")
        assert 2900 < rows.query(client, LEFT, task.id)[0]["seconds"] <= 3000
        fall_due(client, task.id)
    assert (sleeping.result(timeout=30), failing.result(timeout=30)) == ("risen", 2)

    held = client.submit("relay", {"folder": str(tmp_path)}, budget=Budget(seconds=600))
    eventually(lambda: [call["status"] for call in rows.calls(client, held.id)] == ["completed"])
    assert 0 < rows.query(client, LEFT, held.id)[0]["seconds"] <= client.settings.lease_seconds
    wrong.kill()
    processes.worker()
    eventually(lambda: len(runs_on(tmp_path, "held")) == 2)
    (tmp_path / "go").touch()
    assert held.result(timeout=30) == "done"
    assert notes(tmp_path).count("paid") == 1
    assert held.stored().budget.spent.seconds < 300

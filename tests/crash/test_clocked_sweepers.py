"""Sweepers with a clock of their own, and no beat: they die, come back, and are two at once."""

import signal
from pathlib import Path

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually
from tests.processes import Processes


def test_two_do_what_beat_and_a_sweeper_do_and_one_of_them_is_enough(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    doomed = processes.worker()
    first, second = processes.clocked_sweeper(), processes.clocked_sweeper()
    assert client.submit("flaky_hops", {"to": 4}).result(timeout=30) == 4
    task = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: rows.is_paid(client))
    first.kill()
    doomed.kill()
    processes.worker()
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    assert notes(tmp_path).count("paid") == 1
    assert len(runs_on(tmp_path, "held")) == 2
    second.send(signal.SIGTERM)
    assert second.wait_for_exit(20) == 0
    assert "sweeper ends" in second.output
    assert "Traceback" not in second.output

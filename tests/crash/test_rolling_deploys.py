"""Five releases rolled out one after the other under load: no task is stranded, and none fails by it."""

import itertools
import os
import signal
import threading
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, TaskHandle
from tests import rows
from tests.crash.releases import MODULE, write
from tests.eventually import eventually
from tests.processes import ROOT, Processes, Running

PARKED = 5
"""How many tasks of each agent each release leaves waiting."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Rollout:
    """The workers of a deployment, of one release and then of the next."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.workers: list[Running] = []

    def check(self, release: Path) -> None:
        """Ask, as a pipeline would, whether the release takes all living tasks."""
        name = f"check-{release.name}"
        asked = self._processes.forked("agent_tasks.cli", name, ["check"], self._environment(release))
        assert asked.wait_for_exit() == 0, asked.output

    def to(self, release: Path, how: signal.Signals) -> None:
        """Replace the workers one by one: each is ended once its successor takes steps."""
        old, self.workers = self.workers, []
        for number in range(2):
            self.workers.append(self._worker(release))
            for worker in old[number : number + 1]:
                worker.send_all(how)
        for worker in old:
            worker.wait_for_exit()

    def _worker(self, release: Path) -> Running:
        name = f"worker{len(self._processes.all)}"
        arguments = ["-A", "workers", "worker", "-n", f"{name}@test", "-P", "threads", "-c", "2", "--without-mingle"]
        made = self._processes.forked("celery", name, [*arguments, "-l", "INFO"], self._environment(release))
        self._processes.wait_until_ready(made)
        return made

    def _environment(self, release: Path) -> dict[str, str]:
        path = os.pathsep.join((str(release), str(ROOT)))
        return {**self._processes.environment(agents=(MODULE,)), "PYTHONPATH": path}


class Load:
    """Tasks that are submitted all the while."""

    def __init__(self, client: AgentTasks) -> None:
        self.tasks: dict[str, TaskHandle] = {}
        self._client = client
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        for number in itertools.count():
            to = f"customer {number}"
            self.tasks[to] = self._client.submit(("parcel", "courier")[number % 2], {"to": to})
            if self._over.wait(0.05):
                return


def test_a_rolling_deploy_of_five_releases_strands_no_task_and_fails_none(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    releases, rollout = write(tmp_path), Rollout(processes)
    processes.wait_until_ready(processes.sweeper(ready=False), processes.beat(ready=False))
    rollout.to(releases[0], signal.SIGTERM)
    parked: dict[str, TaskHandle] = {}
    taken_back: list[TaskHandle] = []
    with Load(client) as load:
        for number, release in enumerate(releases):
            if number:
                rollout.check(release)
                rollout.to(release, signal.SIGKILL if number == 2 else signal.SIGTERM)
            ones = {
                to: client.submit(agent, {"to": to})
                for agent in ("parcel", "courier")
                for to in (f"parked {agent} {number} {n}" for n in range(PARKED))
            }
            doomed = client.submit("parcel", {"to": f"parked {number}"})
            eventually(lambda ones=ones, doomed=doomed: all(t.stored().waiting_for for t in (*ones.values(), doomed)))
            parked |= ones
            taken_back.append(doomed)
    for task in parked.values():
        task.signal("go")
    for task in taken_back:
        task.cancel()
    everybody = {**load.tasks, **parked}
    assert len(load.tasks) > 50
    ended = {to: task.wait(timeout=120) for to, task in everybody.items()}
    wrong = {
        to: (found.status, found.error, found.result)
        for to, found in ended.items()
        if found.result not in (f"{to} is loaded at {len(to)}", f"{to} is loaded at {len(to)}.0")
    }
    assert wrong == {}
    assert [task.wait(timeout=60).status for task in taken_back] == ["cancelled"] * len(releases)
    for task in taken_back:
        assert [e["data"] for e in rows.events(client, task.id, "unloaded")] == [f"parked {taken_back.index(task)}"]
    assert rows.query(client, "SELECT DISTINCT status FROM agent_tasks.tasks ORDER BY 1") == [
        {"status": "cancelled"}, {"status": "completed"},
    ]  # fmt: skip
    assert rows.query(client, "SELECT * FROM agent_tasks.events WHERE type IN ('retried', 'not_undone')") == []

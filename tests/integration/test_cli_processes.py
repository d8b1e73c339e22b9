"""`agent-tasks worker` starts our package, whatever folder it is called from, and so does its successor."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from agent_tasks import AgentTasks, Settings
from tests.eventually import eventually
from tests.processes import Processes, Running

SCRIPT = str(Path(sys.executable).with_name("agent-tasks"))
THEIRS = """
import threading
from agent_tasks import Budget, SyncContext, agent

@agent("stuck", budget=Budget(seconds=0.3))
def stuck(ctx: SyncContext):
    threading.Event().wait()

@agent("theirs")
async def theirs(ctx):
    return "from their folder"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Somebody's project, which has packages named as ours."""
    for name in ("workers", "beat"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the decoy was imported')")
    (tmp_path / "theirs.py").write_text(THEIRS)
    return tmp_path


@pytest.fixture
def environment(processes: Processes) -> dict[str, str]:
    found = processes.environment(agents=("theirs",), overrun_seconds=0.3)
    return {name: value for name, value in found.items() if name != "PYTHONPATH"}


def start(processes: Processes, folder: Path, environment: dict[str, str], *arguments: str) -> Running:
    """`agent-tasks` in that folder."""
    log = folder / f"{arguments[0]}.log"
    with log.open("ab") as file:
        popen = subprocess.Popen(
            [SCRIPT, *arguments], cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    running = Running(arguments[0], popen, log)
    processes.all.append(running)
    return running


@pytest.mark.slow
def test_our_worker_runs_in_a_folder_with_a_package_of_its_name_and_so_does_the_one_that_replaces_it(
    processes: Processes, folder: Path, environment: dict[str, str], client: AgentTasks
) -> None:
    worker = start(processes, folder, environment, "worker", "--name", "w@test", "-c", "1", "--", "--without-mingle")
    eventually(lambda: "w@test ready" in worker.output)
    stuck = client.submit("stuck")
    eventually(lambda: "restarting the process now" in worker.output)
    eventually(lambda: worker.output.count("w@test ready") == 2)
    assert stuck.stored().error is not None
    submitted = subprocess.run(
        [SCRIPT, "submit", "theirs", "--wait", "--timeout", "20"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert submitted.stdout.splitlines()[1:] == ["from their folder"], submitted.stderr
    assert "decoy" not in worker.output


def test_our_beat_and_sweeper_run_there_too(
    processes: Processes, folder: Path, environment: dict[str, str], settings: Settings
) -> None:
    sweeper = start(processes, folder, environment, "sweeper", "--name", "s@test", "--without-mingle")
    beat = start(processes, folder, environment, "beat")
    eventually(lambda: "s@test ready" in sweeper.output)

    def swept() -> bool:
        with psycopg.connect(settings.database_url) as connection:
            return connection.execute("SELECT FROM agent_tasks.watches").fetchone() is not None

    eventually(swept)
    assert "beat: Starting" in beat.output
    assert "decoy" not in beat.output + sweeper.output


def test_an_agents_module_that_does_not_load_is_one_line_and_exit_code_2(
    folder: Path, environment: dict[str, str]
) -> None:
    ended = subprocess.run(
        [SCRIPT, "worker"],
        cwd=folder,
        env={**environment, "AGENT_TASKS_AGENTS": "no_such_module"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("error: AGENT_TASKS_AGENTS names no_such_module")


def test_an_option_that_celery_does_not_know_is_wrong_usage(folder: Path, environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [SCRIPT, "worker", "--", "--nonsense"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert "--nonsense" in ended.stderr


def test_the_version_is_told_without_settings() -> None:
    ended = subprocess.run(
        [SCRIPT, "--version"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.startswith("agent-tasks ")
    assert ended.stderr == ""

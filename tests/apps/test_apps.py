"""Ten set-ups run their own tests on real workers: with our one line in their app, and without it."""

import os
from pathlib import Path

import pytest

from tests.apps import SETUPS, UNUSUAL, Setup
from tests.eventually import eventually
from tests.processes import ROOT, Processes

OTHERS = ("AGENT_TASKS_", "CELERY_", "DATABASE_", "DJANGO_", "PYTEST_", "REDIS_")


def environment(setup: Setup, processes: Processes, folder: Path, *, installed: bool) -> dict[str, str]:
    """What a process of the set-up's has: nothing of ours without our line."""
    settings = processes.settings
    ours = processes.environment(agents=(setup.agents,)) if installed else {}
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(OTHERS)},
        **{name: value for name, value in ours.items() if name.startswith("AGENT_TASKS_")},
        **({"WITH_AGENT_TASKS": "1"} if installed else {}),
        "C_FORCE_ROOT": "1",  # a worker that takes pickle refuses to be root's otherwise
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TEAM": setup.name,
        "TEAM_REDIS_URL": settings.redis_url,
        "TEAM_RESULT_URL": f"{settings.redis_url.rpartition('/')[0]}/1",
        "TEAM_DATABASE_URL": settings.database_url,
        "TEAM_FOLDER": str(folder),
    }


def run_own_tests(setup: Setup, processes: Processes, folder: Path, *, installed: bool, **broker: str) -> None:
    """`broker` are variables of the environment that name another one than the test's Redis."""
    team = environment(setup, processes, folder, installed=installed) | broker
    worker = processes.app(setup.app, setup.worker(installed=installed), team)
    own = f"tests/apps/{setup.name}/own_tests.py"
    files = [own, "tests/apps/beside.py"] if installed else [own]
    eventually(lambda: f"{setup.name}@test ready" in worker.output or not worker.is_alive)
    assert worker.is_alive, worker.output
    flags = ["-c", os.devnull, "--rootdir", str(ROOT), "--noconftest", "-p", "no:cacheprovider", "-q"]
    tests = processes.own_tests([*flags, *files], team)
    assert tests.wait_for_exit() == 0, tests.output
    assert worker.is_alive


@pytest.mark.parametrize("setup", [*SETUPS, UNUSUAL], ids=lambda setup: setup.name)
def test_an_app_with_our_line_runs_its_tasks_and_an_agent(setup: Setup, processes: Processes, tmp_path: Path) -> None:
    run_own_tests(setup, processes, tmp_path, installed=True)


@pytest.mark.slow
@pytest.mark.parametrize("setup", [*SETUPS, UNUSUAL], ids=lambda setup: setup.name)
def test_the_same_app_without_it_runs_its_tasks(setup: Setup, processes: Processes, tmp_path: Path) -> None:
    run_own_tests(setup, processes, tmp_path, installed=False)

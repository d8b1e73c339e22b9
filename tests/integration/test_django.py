"""A Django project with a Celery app of its own: its suite, and its agents in its workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks import Settings
from tests.conftest import Fragile, fresh_deployment
from tests.eventually import eventually
from tests.processes import ROOT, Processes

pytest.importorskip("django")
pytestmark = pytest.mark.timeout(300)
SHOP = ROOT / "tests" / "apps" / "django_shop"
OTHERS = ("AGENT_TASKS_", "CELERY_", "DATABASE_", "DJANGO_", "PYTEST_", "REDIS_")


def environment(settings: Settings) -> dict[str, str]:
    """What a process of the shop's has: servers, and no setting of ours."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(OTHERS)},
        "PYTHONPATH": os.pathsep.join([str(SHOP), str(ROOT)]),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "SHOP_DATABASE_URL": settings.database_url,
        "SHOP_BROKER_URL": settings.redis_url,
    }


def manage(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=SHOP, env=environment(settings), capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def tables(server_urls: tuple[str, str], template: str) -> Iterator[Settings]:
    """A deployment whose database has the tables of the shop, too."""
    with fresh_deployment(server_urls, template) as settings:
        made = manage(settings, "migrate", "--run-syncdb", "--verbosity", "0")
        assert made.returncode == 0, made.stderr
        yield settings


def run_tests(settings: Settings, *arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(SHOP), *arguments]
    ran = subprocess.run(command, cwd=SHOP, env=environment(settings), capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_the_shops_own_suite_passes(settings: Settings) -> None:
    run_tests(settings, "-c", str(SHOP / "pytest.ini"), str(SHOP))


@pytest.mark.parametrize(
    "pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow), pytest.param("gevent", marks=pytest.mark.slow)]
)
def test_agents_of_the_shop_run_in_its_own_workers(tables: Settings, pool: str, tmp_path: Path) -> None:
    shop = environment(tables)
    queues = "shop,invoices,agents,agent-tasks-sweeps"
    celery = [sys.executable, "-m", "celery", "-A", "project"]
    with Processes(tables, tmp_path) as processes:
        worker = processes.start(
            "worker", [*celery, "worker", "-n", "shop@test", "-P", pool, "-c", "4", "-Q", queues, "-l", "INFO"], shop
        )
        processes.start("beat", [*celery, "beat", "-s", str(tmp_path / "schedule"), "-l", "INFO"], shop)
        eventually(lambda: "shop@test ready" in worker.output or not worker.is_alive, 60)
        assert worker.is_alive, worker.output
        try:
            run_tests(tables, "-c", os.devnull, "-p", "no:django", "--noconftest", str(SHOP / "live.py"))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{worker.story[-6000:]}") from None
        assert worker.is_alive


@pytest.mark.slow
def test_a_worker_of_ours_serves_a_project_without_a_celery_app(tables: Settings, tmp_path: Path) -> None:
    """Django is set up in each of its processes, and the ORM is fresh in each step."""
    with Processes(tables, tmp_path) as processes:
        manage_py = [sys.executable, str(SHOP / "manage.py"), "agent_tasks"]
        worker = processes.start("worker", [*manage_py, "worker", "-n", "own@test"], environment(tables))
        eventually(lambda: "own@test ready" in worker.output or not worker.is_alive, 60)
        submitted = manage(tables, "agent_tasks", "submit", "stock", '{"items": ["cup"]}', "--wait", "--timeout", "30")
        assert submitted.returncode == 0, submitted.stderr + worker.output


@pytest.mark.slow
def test_the_orm_lives_through_a_restart_of_postgres_under_a_worker_of_the_shop(fragile: Fragile) -> None:
    made = manage(fragile.settings, "migrate", "--run-syncdb", "--verbosity", "0")
    assert made.returncode == 0, made.stderr
    celery = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "project",
        "worker",
        "-n",
        "shop@test",
        "-P",
        "threads",
        "-l",
        "INFO",
    ]
    worker = fragile.processes.start("worker", celery, environment(fragile.settings))
    eventually(lambda: "takes steps" in worker.output or not worker.is_alive, 60)

    def sessions() -> set[int]:
        """Those of the ORM, in the steps of several tasks."""
        tasks = fragile.client.submit_many("sessions", [{}] * 4)
        return {pid for task in tasks for pid in task.result(timeout=60)}

    before = sessions()
    postgres = fragile.servers.postgres
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    postgres.start()
    assert sessions().isdisjoint(before)
    assert worker.is_alive


@pytest.mark.slow
def test_manage_py_passes_options_and_exit_codes_on(tables: Settings) -> None:
    unknown = manage(tables, "agent_tasks", "status", "0" * 32, "--json", "--settings", "project.settings")
    assert unknown.returncode == 4
    assert "No task 0000" in unknown.stderr
    assert manage(tables, "agent_tasks", "migrate").returncode == 0
    wrong = manage(tables, "agent_tasks", "dev")
    assert wrong.returncode == 2
    assert "starts a Postgres of its own" in wrong.stderr

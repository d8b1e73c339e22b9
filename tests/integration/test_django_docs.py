"""docs/django.md: its project, made as it says, from nothing to a first task."""

import json
import os
import shlex
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from agent_tasks import Settings
from tests.documents import ROOT, blocks
from tests.eventually import eventually
from tests.integration.test_django import OTHERS
from tests.processes import Processes

DOCUMENT = "docs/django.md"
PROCESSES = ("worker", "sweeper", "beat")
CELERY = ("project/celery.py", "project/__init__.py")
"""What the document has for those who run Celery: not there where the processes are ours."""


def write(settings: Settings, folder: Path, *, celery: bool) -> None:
    """Put each block where its first line says; what a file has already stays in it."""
    named = conninfo_to_dict(settings.database_url)
    database = {**{name.upper(): value for name, value in named.items() if name != "dbname"}, "NAME": named["dbname"]}
    for block in blocks(DOCUMENT, "python"):
        first, _, code = block.partition("\n")
        path = folder / first.removeprefix("# ")
        assert first.startswith("# "), first
        if str(path.relative_to(folder)) in CELERY and not celery:
            continue
        code = code.replace('"NAME": "shop"', f"**{database!r}").replace("redis://localhost:6379/0", settings.redis_url)
        stays = path.read_text() + "\n" if path.name == "settings.py" and path.exists() else ""
        path.write_text(stays + code + ("\nCELERY_BROKER_URL = AGENT_TASKS['REDIS_URL']\n" if stays else ""))


def commands(*, begin: int) -> list[list[str]]:
    lines = blocks(DOCUMENT, "sh")[begin].splitlines()
    return [shlex.split(line) for line in lines if not line.startswith("pip")]


def argv_of(command: list[str]) -> list[str]:
    return [sys.executable, *(["-m", "django"] if command[0] == "django-admin" else []), *command[1:]]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("celery", [False, True], ids=["with our processes", "in a Celery app"])
def test_its_project_ships_an_order(settings: Settings, tmp_path: Path, celery: bool) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
    environment = {**kept, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"}
    django = {**environment, "DJANGO_SETTINGS_MODULE": "project.settings"}

    def run(argv: list[str], environment: dict[str, str] = environment) -> None:
        ran = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    for command in commands(begin=0):
        run(argv_of(command))
    write(settings, folder, celery=celery)
    for command in commands(begin=1):
        run(argv_of(command))
    run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "."],
        django,
    )
    with Processes(settings, tmp_path) as processes:
        if celery:
            names = [["worker", "-P", "threads", "-c", "2"], ["beat", "-s", str(tmp_path / "schedule")]]
            lines = [[sys.executable, "-m", "celery", "-A", "project", *name] for name in names]
        else:
            assert [command[3] for command in commands(begin=2)] == [*PROCESSES]
            lines = [[sys.executable, str(folder / "manage.py"), *command[2:]] for command in commands(begin=2)]
        for number, line in enumerate(lines):
            processes.start(f"process{number}", line, environment)
        server = [sys.executable, str(folder / "manage.py"), "runserver", "--noreload", f"127.0.0.1:{_free_port()}"]
        port = _port(processes, server, environment)
        order = _asked(f"http://127.0.0.1:{port}/orders/?item=tea")["order"]
        said = eventually(lambda: _shipped(f"http://127.0.0.1:{port}/orders/{order}/"), 120)
        assert said == {"status": "shipped", "task": "completed"}
    with psycopg.connect(settings.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM agent_tasks.tasks").fetchone() == (1,)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port(processes: Processes, server: list[str], environment: dict[str, str]) -> int:
    process = processes.start("server", server, environment)
    eventually(lambda: "Quit the server" in process.output or not process.is_alive, 120)
    assert process.is_alive, process.output
    return int(server[-1].rpartition(":")[2])


def _asked(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def _shipped(url: str) -> dict[str, str] | None:
    said = _asked(url)
    return said if said["task"] == "completed" else None

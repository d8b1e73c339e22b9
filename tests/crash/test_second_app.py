"""A user's own Celery app on the same Redis and in the same process is as it would be without us."""

import signal
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from agent_tasks import Settings
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes, Running


def begin(processes: Processes, pool: str) -> Running:
    arguments = ["worker", "-P", pool, "-c", "1", "--without-mingle", "--loglevel", "INFO"]
    worker = processes.celery("tests.crash.second_app", arguments)
    eventually(lambda: " ready." in worker.output)
    return worker


def pay(settings: Settings, folder: Path) -> None:
    with Celery(broker=settings.redis_url, set_as_current=False) as app:
        sent: Any = app.send_task("theirs.pay", [str(folder)], queue="theirs")
    assert sent.id


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_a_killed_worker_of_another_app_had_not_acknowledged_is_delivered_again(
    processes: Processes, settings: Settings, tmp_path: Path, pool: str
) -> None:
    first = begin(processes, pool)
    pay(settings, tmp_path)
    eventually(lambda: notes(tmp_path))
    first.kill()
    begin(processes, pool)
    eventually(lambda: len(notes(tmp_path)) == 2)
    (tmp_path / "go").touch()
    _, redelivered, _ = eventually(lambda: len(found := notes(tmp_path)) == 3 and found)
    assert notes(tmp_path)[2] == f"paid {redelivered.removeprefix('began ')} []"


def test_a_worker_of_another_app_logs_and_ends_as_celery_lets_it(
    processes: Processes, settings: Settings, tmp_path: Path
) -> None:
    worker = begin(processes, "threads")
    pay(settings, tmp_path)
    eventually(lambda: notes(tmp_path))
    worker.send(signal.SIGTERM)
    eventually(lambda: "Warm shutdown" in worker.output)
    (tmp_path / "go").touch()
    assert worker.wait_for_exit() == 0
    assert notes(tmp_path)[1:] == [f"paid {worker.pid} []"]  # no thread of ours drains what it runs
    assert "succeeded in" in worker.output

"""The beat of a team's app ticks for our sweeps, too, whatever its scheduler keeps its entries in."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, signals
from celery.beat import PersistentScheduler, Scheduler
from kombu.entity import Queue

from agent_tasks import Settings
from agent_tasks.celery import beat
from agent_tasks.celery.ticks import hide_ticks
from agent_tasks.doorbell.installed import Installed
from tests.eventually import eventually

SETTINGS = Settings(database_url="postgresql://nobody@localhost:1/none", redis_url="redis://localhost:1/0")
NAMES = [f"agent_tasks.{name}" for name in ("sweep", "orphans", "retention", "bulks", "housekeeping")]
THEIRS = {"nightly": {"task": "shop.close", "schedule": 60.0}}


@pytest.fixture
def app() -> Iterator[Any]:
    before = list(signals.after_task_publish.receivers or [])
    with Celery("theirs", broker="memory://", set_as_current=False) as app:
        app.conf.update(beat_schedule=THEIRS, task_create_missing_queues=False, task_queues=[Queue("celery")])
        yield app
    signals.after_task_publish.receivers = before


def begin(app: Any, scheduler: Any, settings: Settings | None = SETTINGS) -> None:
    beat.begin(Installed(app, settings, "shop"), SimpleNamespace(scheduler=scheduler))


def waiting(app: Any) -> int:
    with app.connection_for_read() as connection:
        return connection.default_channel.queue_declare("agent-tasks-sweeps", passive=True).message_count


def test_ticks_are_added_to_the_schedule_that_runs_and_to_the_one_that_is_configured(app: Any) -> None:
    scheduler = Scheduler(app)
    begin(app, scheduler)
    assert sorted(scheduler.schedule) == sorted(["nightly", *NAMES])
    assert sorted(app.conf.beat_schedule) == sorted(["nightly", *NAMES])
    assert list(THEIRS) == ["nightly"]  # what they have configured it with is left alone
    for name in NAMES:
        every = scheduler.schedule[name].schedule.run_every.total_seconds()
        assert every == int(every) >= 1  # a table of whole seconds may hold it
        assert scheduler.schedule[name].options == {"queue": "agent-tasks-sweeps", "expires": 20 * every}


def test_a_schedule_in_a_file_is_begun_again_with_the_same_entries(app: Any, tmp_path: Path) -> None:
    for _ in range(2):
        app.conf.beat_schedule = THEIRS
        scheduler = PersistentScheduler(app, schedule_filename=str(tmp_path / "schedule"))
        begin(app, scheduler)
        assert sorted(set(scheduler.schedule) - {"celery.backend_cleanup"}) == sorted(["nightly", *NAMES])
        scheduler.close()


class TableScheduler(Scheduler):
    """Keeps entries as django-celery-beat's DatabaseScheduler does: in columns of integers and of text."""

    def update_from_dict(self, dict_: Any) -> None:
        super().update_from_dict(
            {name: self._kept(**entry) if name in NAMES else entry for name, entry in dict_.items()}
        )

    @staticmethod
    def _kept(task: str, schedule: float, options: dict[str, Any]) -> dict[str, Any]:
        every, expires = int(schedule), int(options["expires"])
        row = json.loads(json.dumps({"queue": options["queue"], "expires": expires}))
        return {"task": task, "schedule": float(every), "options": row}


def test_a_schedule_in_a_table_of_whole_seconds_has_the_same_entries(app: Any) -> None:
    usual, table = Scheduler(app), TableScheduler(app)
    begin(app, usual)
    app.conf.beat_schedule = THEIRS
    begin(app, table)
    for name in NAMES:
        one, other = usual.schedule[name], table.schedule[name]
        assert (one.task, one.schedule, one.options) == (other.task, other.schedule, other.options)


def test_an_entry_that_they_have_under_that_name_is_theirs(app: Any) -> None:
    app.conf.beat_schedule = {"agent_tasks.sweep": {"task": "agent_tasks.sweep", "schedule": 5.0}}
    scheduler = Scheduler(app)
    begin(app, scheduler)
    assert scheduler.schedule["agent_tasks.sweep"].schedule.run_every.total_seconds() == 5
    assert set(NAMES) <= set(scheduler.schedule)


def test_a_tick_is_sent_to_its_queue_and_the_queue_is_emptied_now_and_then(app: Any) -> None:
    scheduler = Scheduler(app)
    begin(app, scheduler)
    for number in (59, 1):
        for _ in range(number):  # that nobody takes
            scheduler.apply_entry(scheduler.schedule["agent_tasks.sweep"])
        eventually(lambda left=59 * (number == 59): waiting(app) == left)


def test_a_connection_that_hangs_holds_up_no_tick(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(app)
    begin(app, scheduler)
    hanging, goes_on = threading.Semaphore(0), threading.Event()
    connected = app.connection_for_write

    def hangs(**options: Any) -> Any:
        hanging.release()
        goes_on.wait(60)
        return connected(**options)

    for _ in range(59):
        scheduler.apply_entry(scheduler.schedule["agent_tasks.sweep"])
    monkeypatch.setattr(app, "connection_for_write", hangs)
    for _ in range(121):
        scheduler.apply_entry(scheduler.schedule["agent_tasks.sweep"])
    assert waiting(app) == 180
    assert hanging.acquire(timeout=20)
    assert not hanging.acquire(blocking=False), "one at a time"
    goes_on.set()
    eventually(lambda: waiting(app) == 0)


def test_without_settings_their_own_schedule_is_kept_and_one_line_says_why(
    app: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AGENT_TASKS_DATABASE_URL", "AGENT_TASKS_REDIS_URL", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENT_TASKS_DATA_DIR", "/nowhere")
    scheduler = Scheduler(app)
    begin(app, scheduler, None)
    assert list(scheduler.schedule) == list(app.conf.beat_schedule) == ["nightly"]
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith("no sweeps are ticked for here, the app's own schedule is kept: AGENT_TASKS_DATABASE_URL is")


def test_only_everyday_lines_about_ticks_are_kept_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("tests.ticks")
    hide_ticks(log.name)
    with caplog.at_level("INFO", log.name):
        log.info("Task %(name)s[%(id)s] received", {"name": "agent_tasks.sweep", "id": 1})
        log.info("Scheduler: Sending due task %s (%s)", "agent_tasks.sweep", "agent_tasks.sweep")
        log.info("Task %(name)s[%(id)s] received", {"name": "shop.close", "id": 2})
        log.info("ready")
        log.error("Task %(name)s raised", {"name": "agent_tasks.sweep"})
    assert [record.getMessage() for record in caplog.records] == [
        "Task shop.close[2] received",
        "ready",
        "Task agent_tasks.sweep raised",
    ]

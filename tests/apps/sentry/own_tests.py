import os
from pathlib import Path

from tests.eventually import eventually

from .celery import SENT
from .tasks import Event, process_event


def test_an_event_goes_through_both_queues_by_pickle():
    process_event.delay(Event(7))
    events = Path(os.environ["TEAM_FOLDER"]) / "events"
    eventually(lambda: events.exists() and "Event 7\n" in events.read_text())
    assert SENT == ["sentry.tasks.process_event"], "their own base saw it, and nothing else"

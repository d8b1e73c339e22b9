import os
from dataclasses import dataclass
from pathlib import Path

from .celery import app


@dataclass
class Event:
    """Something that only pickle carries."""

    id: int


@app.task(name="sentry.tasks.save_event", queue="events.save_event")
def save_event(event: Event) -> int:
    with (Path(os.environ["TEAM_FOLDER"]) / "events").open("a") as file:
        file.write(f"{type(event).__name__} {event.id}\n")
    return event.id


@app.task(name="sentry.tasks.process_event", queue="events.process_event")
def process_event(event: Event) -> None:
    save_event.delay(event)

"""The ticks of our sweeps in a beat of a team's: entries of its schedule, whatever its scheduler keeps them in."""

import logging
import threading
from typing import Any

from celery import signals

from agent_tasks.celery.ticks import PREFIX, hide_ticks
from agent_tasks.doorbell.celery_app import SWEEP_QUEUE
from agent_tasks.doorbell.installed import Installed
from agent_tasks.doorbell.sender import bounds
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings
from agent_tasks.sweeps.application import rhythms

log = logging.getLogger(__name__)
_EXPIRES_TICKS = 20
"""After how many ticks of its kind one that nobody took is worth nothing."""
_EMPTIED_TICKS = 60
"""After how many ticks the queue is emptied: with no worker to take them they would fill the broker."""


def begin(ours: Installed, service: Any) -> None:
    """Add our entries to a beat that starts. Where that cannot be, one line says why, and its own entries go on."""
    try:
        entries = _entries(ours.settings or Settings.load())
        _add(ours.app, service.scheduler, entries)
        hide_ticks("celery.beat")
    except InvalidInput as error:
        log.error("no sweeps are ticked for here, the app's own schedule is kept: %s", error)
    except Exception:  # whatever is wrong with our part is not to end a beat of theirs
        log.exception("no sweeps are ticked for here, the app's own schedule is kept")


def _entries(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return our entries: of whole seconds, since a scheduler may keep them in a table of such."""
    entries: dict[str, dict[str, Any]] = {}
    for name, seconds in rhythms(settings).items():
        every = float(max(1, round(seconds)))
        options = {"queue": SWEEP_QUEUE, "expires": every * _EXPIRES_TICKS}
        entries[f"{PREFIX}.{name}"] = {"task": f"{PREFIX}.{name}", "schedule": every, "options": options}
    return entries


def _add(app: Any, scheduler: Any, entries: dict[str, dict[str, Any]]) -> None:
    """Add what the app's schedule does not have under that name, for the scheduler that has read it already, too."""
    app.amqp.queues.setdefault(SWEEP_QUEUE, app.amqp.queues.new_missing(SWEEP_QUEUE))
    new = {name: entry for name, entry in entries.items() if name not in app.conf.beat_schedule}
    app.conf.beat_schedule = {**app.conf.beat_schedule, **new}
    scheduler.update_from_dict(new)
    signals.after_task_publish.connect(_Emptying(app).count, sender=f"{PREFIX}.sweep", weak=False)


class _Emptying:
    """Empties the queue of ticks now and then; the next tick does what the lost ones were for.

    In a thread of its own: whatever becomes of its connection, their schedule goes on.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._ticks = 0
        self._thread: threading.Thread | None = None

    def count(self, **_: Any) -> None:
        self._ticks += 1
        if self._ticks % _EMPTIED_TICKS == 0 and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._empty, name="agent-tasks-emptying", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # there may be no more threads
                self._thread = None
                log.debug("ticks that wait were not dropped: %s", error)

    def _empty(self) -> None:
        try:
            with self._app.connection_for_write(transport_options=bounds(self._app)) as connection:
                connection.default_channel.queue_purge(SWEEP_QUEUE)
        except Exception as error:  # of whatever transport it is; the next tick will tell what is wrong with it
            log.debug("ticks that wait were not dropped: %s", error)

"""Whether any worker hears the bells of this process, looked up a while after the first of them."""

import logging
import threading

import psycopg

from agent_tasks.store.database import Database
from agent_tasks.store.queries import read

log = logging.getLogger(__name__)
AFTER_SECONDS = 5.0
"""A program that ends before has no time for it, and one that begins has better to do."""
MOST_SECONDS = 600.0
"""How long it is looked again, each time later, while no living worker says from where it takes bells."""
TO_DO = (
    "name the workers' broker in AGENT_TASKS_BROKER_URL, or their app in AGENT_TASKS_APP, here, too; one server by one "
    "name"
)


class Hearing:
    """Costs one statement, in a thread of its own, and more only while no worker is there that says where it takes."""

    def __init__(self, database: Database, place: str, lease_seconds: float) -> None:
        self._database = database
        self._place = place
        self._lease_seconds = lease_seconds
        self._closed = threading.Event()

    def begin(self) -> None:
        """Look in a while, unless `close` comes first. It never raises: a commit has gone before."""
        try:
            threading.Thread(target=self._run, name="agent-tasks-hearing", daemon=True).start()
        except RuntimeError as error:  # can't start new thread
            log.debug("where workers take bells from is not looked up: %s", error)

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        seconds = AFTER_SECONDS
        while seconds < MOST_SECONDS and not self._closed.wait(seconds):
            seconds *= 2
            try:
                if self.look():
                    return
            except psycopg.Error as error:
                log.debug("where workers take bells from is not known: %s", error)

    def look(self) -> bool:
        """Warn where workers live that say from where they take bells, and none takes those of this process.

        Returns whether any says so.
        """
        with self._database.connection() as connection:
            rows = read.workers(connection, seconds=self._lease_seconds)
        places = sorted({row["bells"] for row in rows if row["bells"] is not None})
        if places and self._place not in places:
            log.warning(
                "no worker hears the bells of this process, and steps wait for the sweep to ring again: it rings at "
                "%s, and workers take from %s: %s",
                self._place,
                " and ".join(places),
                TO_DO,
            )
        return bool(places)

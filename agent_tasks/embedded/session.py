"""The Postgres of a session of tests: one of the environment's, or an embedded one that all xdist workers share."""

import fcntl
import os
import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import psycopg

from agent_tasks.embedded.postgres import Postgres
from agent_tasks.embedded.roster import Roster

VARIABLE = "AGENT_TASKS_TEST_DATABASE_URL"


class SessionPostgres:
    """Opened by each process of a session; the first one that needs a Postgres starts it, and ends it after all others.

    `folder` is the same for all processes of the session.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._using: IO[str] | None = None
        self._data: Path | None = None
        self._roster: Roster | None = None
        self._postgres: Postgres | None = None
        self._starting: Future[str] | None = None
        # Its thread stays: Linux ends a server that is to die with its parent together with the thread that began it.
        self._thread = ThreadPoolExecutor(1, "agent-tasks-postgres")

    @property
    def is_ours(self) -> bool:
        """Whether the server ends with the session, and all its databases with it."""
        return not os.environ.get(VARIABLE)

    def begin(self) -> None:
        """Begin to find or start the server, while this process does something else."""
        if self._starting is None:
            self._starting = self._thread.submit(self._found)

    def url(self) -> str:
        """Return the URL of a Postgres that answers, started now if need be."""
        self.begin()
        assert self._starting is not None
        return self._starting.result()

    def close(self) -> None:
        """Leave the server to the other processes; the one that started it waits for them, and ends it."""
        self._thread.submit(self._leave).result()
        self._thread.shutdown()

    def _found(self) -> str:
        if given := os.environ.get(VARIABLE):
            return given
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._using is None:
            self._using = (self._folder / "users.lock").open("w")
            fcntl.flock(self._using, fcntl.LOCK_SH)
        with (self._folder / "starting.lock").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            noted = self._folder / "url"
            if noted.exists() and _answers(url := noted.read_text()):
                return url
            noted.write_text(url := self._start())
            return url

    def _leave(self) -> None:
        if self._using is not None and self._postgres is not None:
            fcntl.flock(self._using, fcntl.LOCK_EX)
            self._postgres.stop()
            self._postgres.remove_socket_dir()
        if self._roster is not None:
            self._roster.close()
        if self._data is not None:
            shutil.rmtree(self._data, ignore_errors=True)
        if self._using is not None:
            self._using.close()
        self._using = self._data = self._roster = self._postgres = None

    def _start(self) -> str:
        self._data = Path(tempfile.mkdtemp(prefix="at-"))  # the path of a socket may not be long
        self._roster = Roster(self._data / "processes.json")
        self._roster.open()
        self._postgres = Postgres(self._data, self._roster, durable=False)
        self._postgres.start(dies_with_us=True)
        return self._postgres.url


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:  # whoever started it was killed, and the server with it
        return False
    return True

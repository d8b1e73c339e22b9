"""PostgreSQL and Valkey for one data folder, started and stopped together."""

import atexit
import os
import secrets
import threading
from pathlib import Path
from types import TracebackType

from agent_tasks.embedded.errors import EmbeddedServersBusy
from agent_tasks.embedded.postgres import Postgres
from agent_tasks.embedded.roster import Roster, RosterBusy
from agent_tasks.embedded.valkey import Valkey
from agent_tasks.settings import data_dir as default_data_dir


class EmbeddedServers:
    """Real servers from wheels, on a laptop or in a test; what Postgres holds survives stops and crashes.

    `data_dir` is by default the user's data folder for agent-tasks. With `durable=False` nothing waits for the
    disk, so that a crash of the machine, not of a process, can cost it all: for tests. Raises
    EmbeddedServersMissing if the extra `dev` is not installed.
    """

    def __init__(self, data_dir: Path | None = None, durable: bool = True) -> None:
        self.data_dir = (data_dir or default_data_dir()).absolute()
        self._roster = Roster(self.data_dir / "processes.json")
        self.postgres = Postgres(self.data_dir, self._roster, durable)
        self.valkey = Valkey(self.data_dir, self._roster)
        self._owner: int | None = None

    @property
    def database_url(self) -> str:
        """The libpq URL over the unix socket, valid while the servers run."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """The URL of Valkey, valid while the servers run; the port differs from start to start."""
        return self.valkey.url

    @property
    def secret_key(self) -> str:
        """The secret key: 32 random bytes, the same at each start of this data folder."""
        return (self.data_dir / "secret_key").read_text()

    def start(self) -> None:
        """Start both and wait until they answer, first ending what a killed owner left behind.

        Raises EmbeddedServersBusy while another process runs them, EmbeddedServersFailed if one fails.
        """
        self.data_dir.mkdir(0o700, parents=True, exist_ok=True)
        try:
            self._roster.open()
        except RosterBusy as busy:
            raise EmbeddedServersBusy(self.data_dir, busy.pid) from None
        self._owner = os.getpid()
        atexit.register(self.stop)
        # The kernel ties a child to the thread that started it: only the main thread lives as long as we do.
        dies_with_us = threading.current_thread() is threading.main_thread()
        try:
            self._make_secret_key()
            self.valkey.start(dies_with_us)
            self.postgres.start(dies_with_us)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both, if they run and are ours rather than those of the process we were forked from."""
        if self._owner != os.getpid():
            return
        atexit.unregister(self.stop)
        self._owner = None
        try:
            self.valkey.stop()
            self.postgres.stop()
            self.postgres.remove_socket_dir()
        finally:
            self._roster.close()

    def __enter__(self) -> "EmbeddedServers":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make_secret_key(self) -> None:
        path = self.data_dir / "secret_key"
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            draft.touch(0o600)
            draft.write_text(secrets.token_urlsafe(32))
            draft.replace(path)

"""The embedded PostgreSQL: our own child, on a unix socket, as durable as in production."""

import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from agent_tasks.embedded.binaries import postgres_programs
from agent_tasks.embedded.errors import EmbeddedServersBusy, EmbeddedServersFailed
from agent_tasks.embedded.roster import Roster

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
SOCKET_LOCK = ".s.PGSQL.5432.lock"
SOCKET_PATH_BYTES = 100
"""The longest path used; the limit is 107 bytes on Linux and 103 on macOS."""


class Postgres:
    """One server over the data in `data_dir/postgres`."""

    def __init__(self, data_dir: Path, roster: Roster, durable: bool = True) -> None:
        """`durable`: whether a commit survives a crash of the machine; a crash of a process it survives anyhow."""
        self._data_dir = data_dir
        self._synced = "on" if durable else "off"
        self._pgdata = data_dir / "postgres"
        self._log = data_dir / "postgres.log"
        version = self._pgdata / "PG_VERSION"
        self._programs = postgres_programs(int(version.read_text()) if version.exists() else None)
        self._roster = roster
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: Path | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket_dir), safe='/')}&port=5432"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, dies_with_us: bool = False) -> None:
        """Start, with a new database if there is none, and wait until it accepts connections.

        Raises EmbeddedServersFailed, and EmbeddedServersBusy if another server uses the same files.
        """
        self.stop()
        account = self._account()
        if account:
            for path in (self._pgdata, self._programs):
                _open_the_way(path, account)
        if not self._pgdata.exists():
            self._create(account)
        self._disown_reused_pid()
        if self._socket_dir is None:
            self._socket_dir = self._make_socket_dir(account)
        (self._socket_dir / SOCKET_LOCK).unlink(missing_ok=True)  # it too may name a reused pid
        deadline = time.monotonic() + READY_SECONDS
        while True:
            logged = self._log.stat().st_size if self._log.exists() else 0
            process = self._spawn(account, self._socket_dir, dies_with_us)
            while process.poll() is None and time.monotonic() < deadline:
                if self._is_ready(process):
                    self._process = process
                    return
                time.sleep(0.01)
            self._end(process)
            # Backends outlive a killed postmaster until they notice; before that a new one refuses to start.
            waits = b"shared memory block" in self._log.read_bytes()[logged:]
            if not waits or time.monotonic() >= deadline:
                raise EmbeddedServersFailed("PostgreSQL did not start.", self._log)
            time.sleep(0.1)

    def stop(self) -> None:
        """Shut down fast: sessions are ended, everything is on disk."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            self._end(self._process)
            self._process = None

    def remove_socket_dir(self) -> None:
        """Remove the socket folder, also a killed owner's temporary one, which a link in the data folder names."""
        link = self._data_dir / "socket"
        if link.is_symlink():
            shutil.rmtree(link.readlink(), ignore_errors=True)
            link.unlink()
        self._socket_dir = None

    def _account(self) -> pwd.struct_passwd | None:
        """Return the user to run as: PostgreSQL refuses root, so it is the owner of its files, at first `nobody`."""
        if os.geteuid() != 0:
            return None
        owner = self._pgdata.stat().st_uid if self._pgdata.exists() else 0
        return pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")

    def _create(self, account: pwd.struct_passwd | None) -> None:
        """Create the database under another name until it is whole, since we may be killed meanwhile."""
        draft = self._data_dir / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(0o700)
        if account:
            os.chown(draft, account.pw_uid, account.pw_gid)
        argv = [self._programs / "initdb", "--pgdata", draft, "--username=postgres", "--auth=trust"]
        argv += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv += [] if self._synced == "on" else ["--no-sync"]
        with self._log.open("ab") as output:
            process = self._roster.spawn("initdb", argv, stdout=output, cwd=draft, env=_env(), user=account)
        status = process.wait()
        self._roster.forget(process)
        if status:
            raise EmbeddedServersFailed("initdb failed.", self._log)
        draft.rename(self._pgdata)

    def _disown_reused_pid(self) -> None:
        """Write our own pid where, after a crash, `postmaster.pid` names what is now another program, as in containers.

        PostgreSQL would take it for a living rival. It takes its parent's pid for a stale one and goes on to
        check the shared memory, so we write ours rather than remove the file, which would skip that check.
        """
        pid_file = self._pgdata / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        if not lines or not psutil.pid_exists(int(lines[0])):
            return
        try:
            command = psutil.Process(int(lines[0])).cmdline()
        except psutil.Error:
            command = []
        if command and Path(command[0]).name == "postgres" and str(self._pgdata) in command:
            raise EmbeddedServersBusy(self._data_dir, int(lines[0]))
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))

    def _make_socket_dir(self, account: pwd.struct_passwd | None) -> Path:
        self.remove_socket_dir()
        folder = self._data_dir / "socket"
        if len(os.fsencode(folder / SOCKET_LOCK)) <= SOCKET_PATH_BYTES:
            folder.mkdir(0o700, exist_ok=True)
        else:
            roomy = len(os.fsencode(tempfile.gettempdir())) < SOCKET_PATH_BYTES - 45
            short = Path(tempfile.mkdtemp(prefix="agent-tasks-", dir=None if roomy else "/tmp"))
            folder.symlink_to(short)
            folder = short
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        return folder

    def _spawn(
        self, account: pwd.struct_passwd | None, socket_dir: Path, dies_with_us: bool
    ) -> subprocess.Popen[bytes]:
        settings = ["listen_addresses=", "max_connections=200", f"fsync={self._synced}", "synchronous_commit=on"]
        argv = [self._programs / "postgres", "-D", self._pgdata, "-k", socket_dir, "-p", "5432"]
        argv += [word for setting in settings for word in ("-c", setting)]
        with self._log.open("ab") as output:
            return self._roster.spawn(
                "postgres",
                argv,
                stdout=output,
                cwd=self._pgdata,
                env=_env(),
                user=account,
                death_signal=signal.SIGINT if dies_with_us else 0,
                leftover_signal=signal.SIGQUIT,
            )

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            lines = (self._pgdata / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self._roster.forget(process)


def _env() -> dict[str, str]:
    """Return the environment without the PG variables that would change which server this is."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _open_the_way(path: Path, account: pwd.struct_passwd) -> None:
    """Let the account pass through (not list) the folders above `path`, which root may keep to itself."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            log.warning("PostgreSQL runs as %s: letting it pass through %s (chmod o+x)", account.pw_name, folder)
            folder.chmod(mode | 0o001)

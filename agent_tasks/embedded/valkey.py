"""The embedded Valkey: a fast mirror and a doorbell, which keeps nothing on disk."""

import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from agent_tasks.embedded.binaries import valkey_server
from agent_tasks.embedded.errors import EmbeddedServersFailed
from agent_tasks.embedded.roster import Roster

HOST = "127.0.0.1"
READY_SECONDS = 10.0
STOP_SECONDS = 5.0
PORTS_TO_TRY = 5


class Valkey:
    """One server on a free port; started again, it keeps the port, so that its URL stays valid."""

    def __init__(self, data_dir: Path, roster: Roster) -> None:
        self._program = valkey_server()
        self._folder = data_dir / "valkey"
        self._log = data_dir / "valkey.log"
        self._roster = roster
        self._process: subprocess.Popen[bytes] | None = None
        self.port: int | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, dies_with_us: bool = False) -> None:
        """Start and wait until it answers. Raises EmbeddedServersFailed."""
        self.stop()
        self._folder.mkdir(exist_ok=True)
        tries = 1 if self.port else PORTS_TO_TRY
        for _ in range(tries):
            port = self.port or free_port()
            process = self._spawn(port, dies_with_us)
            if self._answers(process, port):
                self._process, self.port = process, port
                return
            self._end(process)
        raise EmbeddedServersFailed("Valkey did not start.", self._log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            self._end(self._process)
            self._process = None

    def _spawn(self, port: int, dies_with_us: bool) -> subprocess.Popen[bytes]:
        options = {
            "bind": HOST,
            "port": str(port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        argv = [self._program, *(word for name, value in options.items() for word in (f"--{name}", value))]
        with self._log.open("ab") as log:
            return self._roster.spawn(
                "valkey",
                argv,
                stdout=log,
                cwd=self._folder,
                death_signal=signal.SIGKILL if dies_with_us else 0,
            )

    def _answers(self, process: subprocess.Popen[bytes], port: int) -> bool:
        """Whether our own process serves that port: another may have taken it since we found it free."""
        deadline = time.monotonic() + READY_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if _serving_pid(port) == process.pid:
                return True
            time.sleep(0.01)
        return False

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self._roster.forget(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _serving_pid(port: int) -> int | None:
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            answer = b""
            while b"\nuptime_in_seconds:" not in answer:
                received = connection.recv(65536)
                if not received:
                    return None
                answer += received
    except OSError:
        return None
    for line in answer.splitlines():
        if line.startswith(b"process_id:"):
            return int(line.removeprefix(b"process_id:"))
    return None

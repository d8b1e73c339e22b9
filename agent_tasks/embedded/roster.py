"""The file that names one owner's processes, so that the next owner ends what a killed one left behind."""

import fcntl
import json
import os
import pwd
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypedDict, cast

import psutil

LAUNCHER = Path(__file__).with_name("launch.py")
GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


class RosterBusy(RuntimeError):
    """A living process, named by `pid` if it is known, owns this roster."""

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(f"{path} is in use by {f'process {pid}' if pid else 'another process'}")
        self.pid = pid


class Entry(TypedDict):
    name: str
    created: float
    """Seconds since the epoch, as psutil reports it."""
    leftover_signal: int
    """The signal with which the next owner ends this process; SIGKILL follows."""


class Roster:
    """Starts processes and remembers them in `path` until each is forgotten.

    Every process carries a mark in its environment, written to `path` before the first one starts: so a
    process is found even if its owner was killed before it could note its pid, and so are its descendants.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None
        self._mark = ""
        self._entries: dict[int, Entry] = {}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def open(self) -> None:
        """Take the roster and end what its last owner left. Raises RosterBusy while that owner lives."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_suffix(".lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise RosterBusy(self.path, int(holder) if holder.isdecimal() else None) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        self._end_leftovers()
        self._entries = {}
        self._mark = f"_OWNED_BY_{secrets.token_hex(8)}"
        self._write()

    def close(self) -> None:
        """Give the roster up, killing what has not been ended and forgotten."""
        for process in [*self._processes.values()]:
            process.kill()
            process.wait()
            self.forget(process)
        if self._lock is not None:
            self.path.unlink(missing_ok=True)
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def spawn(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        stdout: int | IO[bytes],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: pwd.struct_passwd | None = None,
        death_signal: int = 0,
        leftover_signal: int = signal.SIGKILL,
    ) -> subprocess.Popen[bytes]:
        """Start `argv` in a session of its own, which Ctrl-C in the terminal does not reach.

        `death_signal` is sent to it when the calling thread ends (Linux only).
        """
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(death_signal))]
        launch += [str(user.pw_uid), str(user.pw_gid)] if user else ["-", "-"]
        process = subprocess.Popen(
            [*launch, *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            env={**(os.environ if env is None else env), self._mark: "1"},
            cwd=cwd,
            start_new_session=True,
        )
        self._processes[process.pid] = process
        with suppress(*GONE):
            created = psutil.Process(process.pid).create_time()
            self._entries[process.pid] = Entry(name=name, created=created, leftover_signal=int(leftover_signal))
            self._write()
        return process

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """Note that this process has ended."""
        self._processes.pop(process.pid, None)
        if self._entries.pop(process.pid, None):
            self._write()

    def _write(self) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps({"mark": self._mark, "processes": self._entries}))
        draft.replace(self.path)

    def _end_leftovers(self) -> None:
        if not self.path.exists():
            return
        state = json.loads(self.path.read_text())
        entries = {int(pid): entry for pid, entry in cast(dict[str, Entry], state["processes"]).items()}
        leftovers = dict(_living(entries, cast(str, state["mark"])))
        processes = set(leftovers)
        for process in leftovers:
            with suppress(*GONE):
                processes.update(process.children(recursive=True))
        for process, ending in leftovers.items():
            with suppress(*GONE):
                process.send_signal(ending)
        if not _all_ended(processes, timeout=10):
            for process in processes:
                with suppress(*GONE):
                    process.kill()
            _all_ended(processes, timeout=10)


def _living(entries: Mapping[int, Entry], mark: str) -> Iterator[tuple[psutil.Process, int]]:
    """Yield the processes of an earlier owner, each with the signal that ends it.

    A pid alone proves nothing, since it may have been given out again: the process must also have been created
    when the noted one was (to 2 seconds: on Linux the figure moves with the wall clock), or carry the mark.
    """
    me = psutil.Process()
    spared = {me.pid, *(parent.pid for parent in me.parents())}
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        with suppress(*GONE, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            entry = entries.get(process.pid)
            if entry and abs(process.create_time() - entry["created"]) < 2:
                yield process, entry["leftover_signal"]
            elif mark in process.environ():
                yield process, signal.SIGKILL


def _all_ended(processes: set[psutil.Process], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while any(_runs(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except GONE:
        return False


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process started with `spawn`, and anything left of its session's first process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)

"""Runs some processes as one: shows what they print, starts those that die again, stops them together."""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO

from rich.console import Console
from rich.text import Text

from agent_tasks.embedded.roster import Roster, end_process_group

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan", "bright_magenta")
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
HEALTHY_SECONDS = 10.0
"""The lifetime in seconds after which a process that dies starts again without a growing delay."""
POLL_SECONDS = 0.1
LONGEST_LINE = 65_536


@dataclass(frozen=True)
class Process:
    """A process to run; `env` is added to our own environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    restart: bool = True


class Supervisor:
    """Runs `processes` until stopped, in the caller's thread (`run`) or its own (`start`, or `with`).

    `state` is the file by which the next supervisor finds what a killed one left running. Output goes to the
    terminal, or quietly to `<name>.log` in the folder `log`; `on_line(name, line)` sees each line too, in the
    supervisor's thread. On SIGTERM a process has `grace` seconds to end.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        *,
        state: Path,
        log: Path | None = None,
        on_line: Callable[[str, str], None] | None = None,
        console: Console | None = None,
        grace: float = 10.0,
    ) -> None:
        self._children = {process.name: _Child(process) for process in processes}
        if len(self._children) != len(processes):
            raise ValueError("Two processes have the same name")
        self._roster = Roster(state)
        self._on_line = on_line
        self._console = console or Console()
        self._grace = grace
        self._log = log
        self._logs: dict[str, IO[bytes]] = {}
        self._selector = selectors.DefaultSelector()
        self._stops_asked = 0
        self._started = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self) -> int:
        """Run until SIGINT, SIGTERM, SIGHUP or `stop` (exit code 0), or until all have ended for good.

        In the latter case the exit code is the first that is not 0. A second signal kills without waiting.
        Raises RosterBusy while another supervisor with the same state file lives.
        """
        self._roster.open()
        if threading.current_thread() is not threading.main_thread():
            return self._supervise()
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        previous = {number: signal.signal(number, self._on_signal) for number in signals}
        try:
            return self._supervise()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def start(self) -> None:
        """Run in the background; return once each process has been started."""
        self._roster.open()
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Stop each process; from another thread, return once they have ended."""
        self._stops_asked = max(self._stops_asked, 1)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def pid(self, name: str) -> int | None:
        """Return the process id, or None while the process does not run."""
        process = self._children[name].process
        return process.pid if process is not None and process.returncode is None else None

    def kill(self, name: str, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal to one process, which is then started again like any that dies."""
        process = self._children[name].process
        if process is not None:
            process.send_signal(signal_number)

    def __enter__(self) -> "Supervisor":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stops_asked += 1

    def _supervise(self) -> int:
        children = self._children.values()
        try:
            self._open_logs()
            for child in children:
                self._spawn(child)
            self._started.set()
            while not self._stops_asked and not all(child.is_over for child in children):
                self._read(POLL_SECONDS)
                for child in children:
                    self._look_after(child)
            codes = [child.exit_code for child in children if child.exit_code]
            return 0 if self._stops_asked or not codes else codes[0]
        finally:
            self._stop_children()
            self._started.set()
            for file in self._logs.values():
                file.close()
            self._selector.close()
            self._roster.close()

    def _spawn(self, child: "_Child") -> None:
        child.process = self._roster.spawn(
            child.spec.name,
            child.spec.argv,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **child.spec.env},
            death_signal=signal.SIGKILL,
        )
        child.started_at = time.monotonic()
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _look_after(self, child: "_Child") -> None:
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            self._bury(child, child.process)
            if not child.spec.restart:
                child.exit_code = code if code >= 0 else 128 - code
                self._show(child, f"-- {_ending(code)}")
                return
            delay = child.next_delay()
            child.restart_at = time.monotonic() + delay
            self._show(child, f"-- {_ending(code)}; starts again in {delay:g} s")
        elif not child.is_over and time.monotonic() >= child.restart_at:
            self._spawn(child)

    def _bury(self, child: "_Child", process: subprocess.Popen[bytes]) -> None:
        end_process_group(process)
        self._roster.forget(process)
        assert process.stdout is not None
        while self._read_from(child, process.stdout):
            pass
        if child.unfinished:
            self._show(child, child.unfinished.decode(errors="replace"))
            child.unfinished = b""
        if process.stdout in self._selector.get_map():
            self._selector.unregister(process.stdout)
        process.stdout.close()
        child.process = None

    def _stop_children(self) -> None:
        running = {name: child for name, child in self._children.items() if child.process}
        for child in running.values():
            if child.process:
                child.process.terminate()
        deadline = time.monotonic() + self._grace
        while running:
            self._read(POLL_SECONDS)
            kill = self._stops_asked > 1 or time.monotonic() > deadline
            for name, child in [*running.items()]:
                assert child.process is not None
                if kill and child.process.poll() is None:
                    end_process_group(child.process)
                    child.process.wait()
                if child.process.poll() is not None:
                    self._bury(child, child.process)
                    del running[name]

    def _read(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            child: _Child = key.data
            if child.process is not None and child.process.stdout is not None:
                self._read_from(child, child.process.stdout)

    def _read_from(self, child: "_Child", output: IO[bytes]) -> bool:
        """Read what is there; return False at its end or if there is nothing."""
        try:
            received = os.read(output.fileno(), LONGEST_LINE)
        except BlockingIOError:
            return False
        if not received:
            if output in self._selector.get_map():
                self._selector.unregister(output)
            return False
        *lines, child.unfinished = (child.unfinished + received).split(b"\n")
        if len(child.unfinished) > LONGEST_LINE:
            lines, child.unfinished = [*lines, child.unfinished], b""
        for line in lines:
            self._show(child, line.decode(errors="replace").rstrip("\r"))
        return True

    def _open_logs(self) -> None:
        if self._log is not None:
            self._log.mkdir(parents=True, exist_ok=True)
            self._logs = {name: (self._log / f"{name}.log").open("ab", buffering=0) for name in self._children}

    def _show(self, child: "_Child", line: str) -> None:
        name = child.spec.name
        if self._log is not None:
            self._logs[name].write(line.encode() + b"\n")
        else:
            names = [*self._children]
            colour = COLOURS[names.index(name) % len(COLOURS)]
            prefix = Text(f"{name:<{max(map(len, names))}} | ", style=colour)
            self._console.print(prefix + Text.from_ansi(line), soft_wrap=True)
        if self._on_line is not None:
            self._on_line(name, line)


@dataclass
class _Child:
    spec: Process
    process: subprocess.Popen[bytes] | None = None
    unfinished: bytes = b""
    started_at: float = 0.0
    restart_at: float = 0.0
    deaths: int = 0
    """The number of times it has died since it last was healthy."""
    exit_code: int | None = None
    """The exit code once it has ended for good."""

    @property
    def is_over(self) -> bool:
        return self.exit_code is not None

    def next_delay(self) -> float:
        if time.monotonic() - self.started_at >= HEALTHY_SECONDS:
            self.deaths = 0
        self.deaths += 1
        return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (self.deaths - 1))


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"

"""The test run's side of the zygote: processes of ours by request, with what `subprocess.Popen` offers."""

import atexit
import json
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class Fork:
    """One process that the zygote started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("celery", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()


class Zygote:
    """The process that forks, and what it tells."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._asking = threading.Lock()
        self._answered = threading.Condition()
        self._forks: dict[int, Fork] = {}
        self._last: Fork | None = None
        self._ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self._ready.wait(60), "the zygote did not start"

    def fork(self, program: str, argv: list[str], environment: dict[str, str], log: Path) -> Fork:
        request: dict[str, Any] = {
            "program": program,
            "argv": argv,
            "environment": environment,
            "folder": str(ROOT),
            "log": str(log),
        }
        assert self._process.stdin is not None
        with self._asking, self._answered:
            self._last = None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            assert self._answered.wait_for(lambda: self._last is not None, 30), "the zygote does not answer"
            assert self._last is not None
            return self._last

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            kind, *values = line.split()
            with self._answered:
                if kind == "ready":
                    self._ready.set()
                elif kind == "started":
                    self._last = self._forks[int(values[0])] = Fork(int(values[0]))
                    self._answered.notify_all()
                else:
                    self._forks.pop(int(values[0])).end(int(values[1]))


@cache
def zygote() -> Zygote:
    """One for the test run; it goes when the run ends, however that ends."""
    made = Zygote()
    atexit.register(made.close)
    return made

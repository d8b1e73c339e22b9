"""Real Celery processes for a test: started, waited for, killed, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from agent_tasks import Settings
from tests.eventually import eventually

ROOT = Path(__file__).parent.parent


class Running:
    """One process, in a group of its own, with its log."""

    def __init__(self, name: str, argv: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._file = log.open("ab")
        self.popen = subprocess.Popen(
            argv, env=environment, cwd=ROOT, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: int) -> None:
        """To this process only, not to its children."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the process and all its children, as the kernel or a power cut would."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self._file.close()

    def wait_for_exit(self, timeout: float = 20) -> int:
        return self.popen.wait(timeout)


class Processes:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self._all: list[Running] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._all:
            if process.popen.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
            process.kill()
        if kind is not None:  # the test failed: show what the processes said
            for process in self._all:
                print(f"--- {process.name} ---\n{process.output[-6000:]}")

    def environment(self, **changes: Any) -> dict[str, str]:
        """The settings as AGENT_TASKS_* variables, with `changes`."""
        values = {**self.settings.model_dump(exclude_defaults=True), **changes}
        variables = {
            f"AGENT_TASKS_{name.upper()}": ",".join(value) if isinstance(value, tuple) else str(value)
            for name, value in values.items()
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AGENT_TASKS_")}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}

    def worker(self, *, pool: str = "threads", concurrency: int = 4, ready: bool = True, **settings: Any) -> Running:
        name = f"worker{len(self._all)}"
        arguments = ["worker", "-n", f"{name}@test", "-P", pool, "-c", str(concurrency), "--loglevel", "INFO"]
        process = self._celery("workers", name, arguments, settings)
        if ready:
            eventually(lambda: f"celery@{name} ready" in process.output or f"{name}@test ready" in process.output, 30)
            eventually(lambda: self._registered(f"{name}@test/"), 20)
        return process

    def sweeper(self, **settings: Any) -> Running:
        name = f"sweeper{len(self._all)}"
        process = self._celery("beat", name, ["worker", "-n", f"{name}@test", "--loglevel", "INFO"], settings)
        eventually(lambda: f"{name}@test ready" in process.output, 30)
        return process

    def beat(self, **settings: Any) -> Running:
        name = f"beat{len(self._all)}"
        process = self._celery("beat", name, ["beat", "--loglevel", "INFO"], settings)
        eventually(lambda: "beat: Starting" in process.output, 30)
        return process

    def python(self, code: str, **settings: Any) -> Running:
        """A Python program of a user's, with the deployment's settings in its environment."""
        return self.start(f"python{len(self._all)}", [sys.executable, "-c", code], self.environment(**settings))

    def start(self, name: str, argv: list[str], environment: dict[str, str]) -> Running:
        process = Running(name, argv, environment, self.folder / f"{name}.log")
        self._all.append(process)
        return process

    def _celery(self, app: str, name: str, arguments: list[str], settings: dict[str, Any]) -> Running:
        argv = [sys.executable, "-m", "celery", "-A", app, *arguments]
        return self.start(name, argv, self.environment(**settings))

    def _registered(self, prefix: str) -> bool:
        with psycopg.connect(self.settings.database_url) as connection:
            query = "SELECT FROM workers WHERE id LIKE %s"
            return connection.execute(query, [prefix + "%"]).fetchone() is not None



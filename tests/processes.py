"""Real Celery processes for a test: started, waited for, killed, and never left behind."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from agent_tasks import Settings
from tests.crash import kill_points
from tests.eventually import eventually
from tests.forks import Fork, zygote

ROOT = Path(__file__).parent.parent
EVERYDAY = ("] received", " succeeded in ", "Sending due task", "  . ")


class Running:
    """One process, in a group of its own, with its log."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes] | Fork", log: Path) -> None:
        self.name = name
        self.popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def story(self) -> str:
        """The log without the lines that each message writes."""
        lines = self.output.splitlines()
        return "\n".join(line for line in lines if not any(word in line for word in EVERYDAY))

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def send(self, number: int) -> None:
        """To this process only, not to its children."""
        self.popen.send_signal(number)

    def send_all(self, number: int) -> None:
        """To this process and all its children."""
        os.killpg(self.popen.pid, number)

    def kill(self) -> None:
        """SIGKILL to the process and all its children, as the kernel or a power cut would."""
        with suppress(ProcessLookupError):  # it had ended, and its children too
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def wait_for_exit(self, timeout: float = 60) -> int:
        return self.popen.wait(timeout)


class Processes:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.all: list[Running] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.all:
            process.kill()

    def environment(self, **changes: Any) -> dict[str, str]:
        """The settings as AGENT_TASKS_* variables, with `changes`."""
        values = {**self.settings.model_dump(exclude_defaults=True), **changes}
        if point := changes.get("kill_at"):
            kill_points.check(point)
            values["agents"] = (*values["agents"], kill_points.__name__)
        variables = {
            f"AGENT_TASKS_{name.upper()}": ",".join(value) if isinstance(value, tuple) else str(value)
            for name, value in values.items()
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AGENT_TASKS_")}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}

    def worker(
        self,
        *,
        pool: str = "threads",
        concurrency: int = 4,
        ready: bool = True,
        fresh: bool = False,
        mingle: bool = False,
        **settings: Any,
    ) -> Running:
        """A worker process.

        `ready`: wait until it takes steps. `fresh`: through an interpreter of its own, not forked off another.
        `mingle`: greet the other workers first, which takes a second.
        """
        name = f"worker{len(self.all)}"
        arguments = ["worker", "-n", f"{name}@test", "-P", pool, "-c", str(concurrency), "--loglevel", "INFO"]
        if not mingle:
            arguments.append("--without-mingle")
        process = self._celery("workers", name, arguments, settings, fresh)
        if ready:
            self.wait_until_ready(process)
        return process

    def sweeper(self, *, ready: bool = True, **settings: Any) -> Running:
        name = f"sweeper{len(self.all)}"
        arguments = ["worker", "-n", f"{name}@test", "--without-mingle", "--loglevel", "INFO"]
        process = self._celery("beat", name, arguments, settings)
        if ready:
            self.wait_until_ready(process)
        return process

    def clocked_sweeper(self, *, ready: bool = True, **settings: Any) -> Running:
        """A sweeper that needs no beat."""
        process = self._forked("agent_tasks.cli", f"clocked{len(self.all)}", ["sweeper", "--clock"], settings)
        if ready:
            eventually(lambda: "sweeper running" in process.output)
        return process

    def beat(self, *, ready: bool = True, **settings: Any) -> Running:
        name = f"beat{len(self.all)}"
        process = self._celery("beat", name, ["beat", "--loglevel", "INFO"], settings)
        if ready:
            self.wait_until_ready(process)
        return process

    def gateway(self, *arguments: str, command: str = "gateway", **settings: Any) -> tuple[Running, str]:
        """A gateway process that serves, and its URL."""
        argv = [command, "--port", "0", *arguments]
        process = self._forked("agent_tasks.cli", f"{command}{len(self.all)}", argv, settings)

        def served() -> str | None:
            assert process.is_alive, process.output
            found = re.search(r"running on (http://\S+)", process.output)
            return found and found[1]

        return process, eventually(served, 30)

    def deliverer(self, *, ready: bool = True, **settings: Any) -> Running:
        """A deliverer, to which this machine is allowed."""
        settings = {"webhook_allow": ("127.0.0.1",), "webhook_retry_scale": 0.001, **settings}
        process = self._forked("agent_tasks.cli", f"deliverer{len(self.all)}", ["deliverer"], settings)
        if ready:
            eventually(lambda: "deliverer running" in process.output)
        return process

    def fleet(self, *, workers: int = 1, pool: str = "threads", concurrency: int = 4, **settings: Any) -> list[Running]:
        """Workers, a sweeper and a beat, started side by side; returns the workers."""
        started = [self.worker(pool=pool, concurrency=concurrency, ready=False, **settings) for _ in range(workers)]
        others = [self.sweeper(ready=False, **settings), self.beat(ready=False, **settings)]
        self.wait_until_ready(*started, *others)
        return started

    def wait_until_ready(self, *processes: Running) -> None:
        for process in processes:
            if process.name.startswith("beat"):
                eventually(lambda p=process: "beat: Starting" in p.output)
                continue
            eventually(lambda p=process: f"{p.name}@test ready" in p.output, 60)
            if process.name.startswith("worker"):
                eventually(lambda p=process: self._registered(f"{p.name}@test/"))

    def python(self, code: str, **settings: Any) -> Running:
        """A Python program of a user's, with the deployment's settings in its environment."""
        return self.start(f"python{len(self.all)}", [sys.executable, "-c", code], self.environment(**settings))

    def celery(self, app: str, arguments: list[str], **settings: Any) -> Running:
        """Any other Celery command."""
        return self._celery(app, f"{arguments[0]}{len(self.all)}", arguments, settings)

    def app(self, app: str, arguments: list[str], environment: dict[str, str]) -> Running:
        """A Celery command of an app of a user's, in an environment of its own."""
        return self.forked("celery", f"{arguments[0]}{len(self.all)}", ["-A", app, *arguments], environment)

    def own_tests(self, arguments: list[str], environment: dict[str, str]) -> Running:
        """A user's run of pytest, in an environment of its own."""
        return self.forked("pytest", f"pytest{len(self.all)}", arguments, environment)

    def start(self, name: str, argv: list[str], environment: dict[str, str]) -> Running:
        path = self.folder / f"{name}.log"
        with path.open("ab") as log:
            popen = subprocess.Popen(
                argv, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        return self._keep(Running(name, popen, path))

    def _celery(
        self, app: str, name: str, arguments: list[str], settings: dict[str, Any], fresh: bool = False
    ) -> Running:
        arguments = ["-A", app, *arguments]
        if fresh:
            argv = [sys.executable, "-m", "celery", *arguments]
            return self.start(name, argv, self.environment(**settings))
        return self._forked("celery", name, arguments, settings)

    def _forked(self, program: str, name: str, arguments: list[str], settings: dict[str, Any]) -> Running:
        return self.forked(program, name, arguments, self.environment(**settings))

    def forked(self, program: str, name: str, arguments: list[str], environment: dict[str, str]) -> Running:
        """A process of one of our programs or Celery's, forked off one that has imported them."""
        path = self.folder / f"{name}.log"
        return self._keep(Running(name, zygote().fork(program, arguments, environment, path), path))

    def _keep(self, process: Running) -> Running:
        self.all.append(process)
        return process

    def _registered(self, prefix: str) -> bool:
        with psycopg.connect(self.settings.database_url) as connection:
            query = "SELECT FROM agent_tasks.workers WHERE id LIKE %s"
            return connection.execute(query, [prefix + "%"]).fetchone() is not None

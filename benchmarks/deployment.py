"""A deployment on the embedded servers of this machine, with real worker processes, for the length of a benchmark."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_tasks import AgentTasks, Settings
from agent_tasks.embedded import EmbeddedServers
from agent_tasks.migrations import upgrade

ROOT = Path(__file__).parent.parent


class Deployment:
    """Servers, a client, and processes that are ended with it."""

    def __init__(self, servers: EmbeddedServers, log: Path) -> None:
        self.log = log
        self.settings = Settings(
            database_url=servers.database_url, redis_url=servers.redis_url, agents=("benchmarks.agents",)
        )
        upgrade(servers.database_url)
        self.client = AgentTasks(self.settings)
        self.running: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def process(self, *argv: str, **settings: Any) -> Generator["subprocess.Popen[bytes]"]:
        """`python -m argv` in a group of its own, killed with it."""
        values = {
            "DATABASE_URL": self.settings.database_url,
            "REDIS_URL": self.settings.redis_url,
            "AGENTS": ",".join(self.settings.agents),
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        environment.update({f"AGENT_TASKS_{name}": value for name, value in values.items()})
        with self.log.open("ab") as log:
            popen = subprocess.Popen(
                [sys.executable, "-m", *argv], env=environment, stdout=log, stderr=log, start_new_session=True, cwd=ROOT
            )
        try:
            yield popen
        finally:
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()

    @contextmanager
    def worker(self, pool: str = "threads", concurrency: int = 8, **settings: Any) -> Generator[Any]:
        arguments = ["celery", "-A", "workers", "worker", "-P", pool, "-c", str(concurrency), "--loglevel", "WARNING"]
        with self.process(*arguments, **settings) as popen:
            self.client.submit("loop", {"steps": 1}).wait(timeout=60)
            yield popen

    @contextmanager
    def sweeping(self) -> Generator[None]:
        with (
            self.process("celery", "-A", "beat", "beat", "--loglevel", "WARNING"),
            self.process("celery", "-A", "beat", "worker", "-n", "sweeper@%h", "--loglevel", "WARNING"),
        ):
            yield

    def count(self, where: str) -> int:
        with self.client.database.connection() as connection:
            row = connection.execute(f"SELECT count(*) AS n FROM tasks WHERE {where}").fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row["n"]


@contextmanager
def deployment() -> Generator[Deployment]:
    with (
        tempfile.TemporaryDirectory(prefix="at-") as folder,
        EmbeddedServers(Path(folder) / "data") as servers,
    ):
        made = Deployment(servers, Path(folder) / "log")
        try:
            yield made
        finally:
            made.client.close()


def until(condition: Callable[[], bool], seconds: float = 120.0) -> float:
    """Seconds until the condition held. Raises TimeoutError."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > seconds:
            raise TimeoutError(f"the condition did not hold within {seconds:g} s")
        time.sleep(0.01)
    return time.perf_counter() - start

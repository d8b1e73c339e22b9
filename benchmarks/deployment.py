"""A deployment on the embedded servers of this machine, with real worker processes, for the length of a benchmark."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from agent_tasks import AgentTasks, Settings
from agent_tasks.embedded import EmbeddedServers
from agent_tasks.embedded.roster import Roster, end_process_group
from agent_tasks.store.migrations import upgrade

ROOT = Path(__file__).parent.parent
WARM_UP = 200
"""Tasks that run before anything is measured, so that all slots are warm."""

_STARTED = "SELECT count(*) FROM agent_tasks.workers WHERE id LIKE %s"
_BUSY = "SELECT EXISTS (SELECT FROM agent_tasks.tasks WHERE status IN ('pending', 'running') AND due_at > '-infinity')"


class Deployment:
    """Servers, a client, and processes that are ended with it, also where the benchmark itself is killed."""

    def __init__(self, servers: EmbeddedServers, roster: Roster, database: str = "postgres") -> None:
        self.servers = servers
        self.roster = roster
        self.settings = Settings(
            database_url=self.database_url(database), redis_url=servers.redis_url, agents=("benchmarks.agents",)
        )
        upgrade(self.settings.database_url)
        self.client = AgentTasks(self.settings)

    def database_url(self, name: str) -> str:
        """A database of its own on the same server, so that nobody measures in another one's tables."""
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.servers.database_url.replace("@/postgres?", f"@/{name}?")

    @contextmanager
    def beside(self, database: str) -> Generator["Deployment"]:
        """Another deployment on the same servers. It shares Redis: no two may have workers at once."""
        made = Deployment(self.servers, self.roster, database)
        try:
            yield made
        finally:
            made.client.close()

    @contextmanager
    def through(self, broker_url: str) -> Generator["Deployment"]:
        """The same deployment through another broker; empty: the Redis itself."""
        made = copy(self)
        made.settings = self.settings.model_copy(update={"broker_url": broker_url})
        made.client = AgentTasks(made.settings)
        try:
            yield made
        finally:
            made.client.close()

    @contextmanager
    def process(self, *argv: str, **settings: Any) -> Generator["subprocess.Popen[bytes]"]:
        """`python -m argv` in a group of its own, killed with it."""
        values = {
            "DATABASE_URL": self.settings.database_url,
            "REDIS_URL": self.settings.redis_url,
            "BROKER_URL": self.settings.broker_url,
            "AGENTS": ",".join(self.settings.agents),
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        environment.update({f"AGENT_TASKS_{name}": value for name, value in values.items()})
        with (self.servers.data_dir / "processes.log").open("ab") as log:
            popen = self.roster.spawn(
                argv[0],
                [sys.executable, "-m", *argv],
                stdout=log.fileno(),
                env=environment,
                cwd=ROOT,
                death_signal=signal.SIGKILL,
            )
        try:
            yield popen
        finally:
            end_process_group(popen)
            popen.wait()
            self.roster.forget(popen)

    @contextmanager
    def worker(
        self, pool: str = "threads", concurrency: int = 16, queue: str = "agents", name: str = "", **settings: Any
    ) -> Generator["subprocess.Popen[bytes]"]:
        """A worker of this queue that takes steps, and after which some have run."""
        node = f"{name or queue}@{uuid4().hex[:8]}"
        arguments = ["celery", "-A", "workers", "worker", "-n", node, "-P", pool, "-c", str(concurrency), "-Q", queue]
        with self.process(*arguments, "--loglevel", "WARNING", **settings) as popen:
            processes = concurrency if pool == "prefork" else 1
            until(lambda: self.value(_STARTED, [f"{node}/%"]) == processes, f"{node} takes steps")
            for task in self.client.submit_many("loop", [{"steps": 3}] * WARM_UP, queue=queue):
                task.wait(timeout=60)
            yield popen

    @contextmanager
    def sweeping(self) -> Generator["tuple[subprocess.Popen[bytes], ...]"]:
        """Beat and the sweeper."""
        with (
            self.process("celery", "-A", "beat", "beat", "--loglevel", "WARNING") as beat,
            self.process("celery", "-A", "beat", "worker", "-n", "sweeper@%h", "--loglevel", "WARNING") as sweeper,
        ):
            yield beat, sweeper

    def value(self, query: str, parameters: Any = None) -> Any:
        """The one value that a query returns."""
        with self.client.database.connection() as connection:
            row = connection.execute(query, parameters).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return next(iter(row.values()))

    def busy(self) -> bool:
        """Whether any task is pending or running: a look into an index, so that asking costs next to nothing."""
        return self.value(_BUSY)

    def until_idle(self, seconds: float = 120.0) -> None:
        until(lambda: not self.busy(), "no task is pending or running", seconds)


@contextmanager
def deployment() -> Generator[Deployment]:
    with (
        tempfile.TemporaryDirectory(prefix="at-") as folder,
        EmbeddedServers(Path(folder) / "data") as servers,
    ):
        roster = Roster(Path(folder) / "benchmark.json")
        roster.open()
        made = Deployment(servers, roster)
        try:
            yield made
        finally:
            made.client.close()
            roster.close()


def until(condition: Callable[[], bool], what: str, seconds: float = 120.0, every: float = 0.01) -> float:
    """Seconds until the condition held. Raises TimeoutError, which says `what` was waited for."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > seconds:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(every)
    return time.perf_counter() - start

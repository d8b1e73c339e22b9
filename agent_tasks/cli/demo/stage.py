"""The demo's stage: servers, two workers, a sweeper and beat, with their logs in files."""

import os
import shutil
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_tasks.cli.deployment import show_warnings_in_one_line
from agent_tasks.cli.local import embedded_servers, environment_for, process, settings_for
from agent_tasks.cli.problems import ExitCode, Failed, Problem
from agent_tasks.client.client import AgentTasks
from agent_tasks.embedded import Supervisor
from agent_tasks.settings import Settings
from agent_tasks.store.queries import read

LEASE_SECONDS = 3
WORKERS = ("worker1", "worker2")
_SETTINGS = {
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "RING_SECONDS": "1",
    "SWEEP_SECONDS": "0.2",
    "DRAIN_SECONDS": "2",
    "BUNDLED": "orchestrator",
}
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Stage:
    client: AgentTasks
    supervisor: Supervisor
    logs: Path

    def wait_for_workers(self) -> None:
        """Wait until the workers are ready. Raises Failed, with the end of its log, if one does not start."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            with self.client.database.connection() as connection:
                seen = {row["id"].partition("@")[0] for row in read.workers(connection, seconds=LEASE_SECONDS)}
            if seen >= set(WORKERS):
                return
            for name in WORKERS:
                if self.supervisor.pid(name) is None or time.monotonic() > deadline:
                    raise self.failed(f"{name} did not start", name)
            time.sleep(0.05)

    def failed(self, what: str, *names: str) -> Failed:
        """Return the error that ends the demo, with the last lines of these processes' logs."""
        said: list[str] = []
        for name in names or WORKERS:
            log = self.logs / f"{name}.log"
            lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
            said += [f"--- {name} ---", *lines]
        return Failed(Problem(ExitCode.ENDED_BADLY, "step_failed", "\n".join([f"{what}.", *said])))


@contextmanager
def stage(data_dir: Path | None, roots: Sequence[Path]) -> Generator[Stage]:
    """Start the stage; when it is over everything is stopped, and removed unless `data_dir` is given to keep it.

    The bundled agents may read and write below `roots`.
    """
    with ExitStack() as stack:
        folder = data_dir.absolute() if data_dir else Path(tempfile.mkdtemp(prefix="agent-tasks-demo-"))
        if data_dir is None:
            folder.chmod(0o711)  # if this is root, Postgres runs as another user, who must pass through
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        servers = stack.enter_context(embedded_servers(folder))
        environment = {
            **environment_for(servers),
            **{f"AGENT_TASKS_{name}": value for name, value in _SETTINGS.items()},
            "AGENT_TASKS_BUNDLED_ROOT": os.pathsep.join(map(str, roots)),
        }
        alone = ["--concurrency", "2", "--without-mingle", "--without-gossip"]  # nobody to greet, which takes a second
        workers = [
            process(name, "worker", "--name", f"{name}@%h", *alone, environment=environment, restart=False)
            for name in WORKERS
        ]
        others = [
            process("sweeper", "sweeper", "--without-mingle", environment=environment),
            process("beat", "beat", environment=environment),
        ]
        logs = folder / "logs"
        supervisor = Supervisor([*workers, *others], state=folder / "demo-processes.json", log=logs, grace=5)
        stack.callback(supervisor.stop)  # first, since a signal may come while it starts
        supervisor.start()
        show_warnings_in_one_line()
        values: dict[str, Any] = {**settings_for(servers), "lease_seconds": LEASE_SECONDS, "ring_seconds": 1}
        client = AgentTasks(Settings(**values))
        stack.callback(client.close)
        yield Stage(client, supervisor, logs)

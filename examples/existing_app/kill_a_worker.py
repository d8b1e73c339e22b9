"""Submits a task, kills its worker with SIGKILL in the middle of it, and starts another one."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from agent_tasks import submit
from examples.existing_app.agents import correspondent

FOLDER = tempfile.TemporaryDirectory()
PAID_FOR = Path(FOLDER.name) / "paid_for"
ENVIRONMENT = {
    **os.environ,
    "AGENT_TASKS_AGENTS": "examples.existing_app.agents",
    "AGENT_TASKS_LEASE_SECONDS": "2",
    "PAID_FOR": str(PAID_FOR),
}
CELERY = [sys.executable, "-m", "celery", "-A", "examples.existing_app.shop"]


def start(*arguments: str, **changes: str) -> "subprocess.Popen[bytes]":
    log = (Path(FOLDER.name) / "log").open("ab")
    return subprocess.Popen(
        [*CELERY, *arguments], env={**ENVIRONMENT, **changes}, stdout=log, stderr=log, start_new_session=True
    )


def main() -> None:
    started = [start("worker", "-n", "first@%h", SLOW="1"), start("beat", "-s", f"{FOLDER.name}/beat")]
    try:
        task = submit(correspondent, {"topic": "tides"})
        next(event for event in task.events(follow=True, timeout=60) if event.type == "written")
        os.killpg(started[0].pid, signal.SIGKILL)
        print("the worker was killed in the middle of the second of three steps")
        started.append(start("worker", "-n", "second@%h"))
        print("another one came to", task.result(timeout=60))
        print("the model was asked for:", *PAID_FOR.read_text().splitlines(), sep="\n  ")
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    main()

"""A process that has imported everything and forks itself into ours: each is up in a tenth of the time.

It reads one JSON request a line, `{"program", "argv", "environment", "folder", "log"}`, and writes `started <pid>`
and, for each that ends, `ended <pid> <status>`. When its own reader is gone, it takes all of them along.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

from agent_tasks.authoring import loading


def main() -> None:
    preload()
    reading, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(reading, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(reading, selectors.EVENT_READ)
    children: set[int] = set()
    rest = b""
    tell("ready")
    while True:
        for key, _ in selector.select():
            if key.fd == reading:
                os.read(reading, 4096)
                bury(children)
                continue
            received = os.read(0, 65536)
            if not received:
                end(children)
                return
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                pid = fork(json.loads(line))
                os.setpgid(pid, pid)  # as it does itself: whoever hears of it may signal its group
                children.add(pid)
                tell(f"started {pid}")


PROGRAMS = {"celery": "celery.__main__", "agent_tasks.cli": "agent_tasks.cli", "pytest": "tests.apps.program"}
"""Where the `main` is of what is started as `python -m`."""
PRELOADED = (
    "celery.__main__",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.events.dispatcher",
    "celery.loaders.app",
    "kombu.transport.redis",
    "agent_tasks.cli.application",
    "agent_tasks.cli.gateway",
    "agent_tasks.gateway.server",
    "agent_tasks.webhooks.process",
    "agent_tasks.store.migrations",
    "agent_tasks.sweeps.application",
    "agent_tasks.engine.process.application",
    "tests.apps.program",
)


def preload() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    loading.load_agents(())
    assert threading.active_count() == 1, "a fork would lose the threads"
    gc.collect()
    gc.freeze()


def fork(request: dict[str, Any]) -> int:
    return os.fork() or become(request)


def become(request: dict[str, Any]) -> NoReturn:
    """The request's process: as if `python -m` of its program had been started with its environment."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.chdir(request["folder"])
        log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[:0] = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
        module, arguments = request["program"], request["argv"]
        sys.orig_argv[:] = [sys.executable, "-m", module, *arguments]
        sys.argv[:] = [module, *arguments]
        importlib.import_module(PROGRAMS[module]).main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        leave(status)


def leave(status: int) -> NoReturn:
    """As the interpreter ends: threads that are no daemons are waited for, and hooks are run."""
    import atexit

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def bury(children: set[int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            children.discard(pid)
            tell(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


def end(children: set[int]) -> None:
    for pid in children:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()

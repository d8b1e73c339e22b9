"""How a worker process ends: steps finish for a bounded time, then their leases are given back."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from billiard.process import active_children

from agent_tasks.deployment import Deployment
from agent_tasks.engine.process.own_connection import OwnConnection
from agent_tasks.engine.process.runtime import Runtime, worker_id
from agent_tasks.transitions.release import claims_of, release

if TYPE_CHECKING:
    from agent_tasks.settings import Settings

log = logging.getLogger(__name__)
_EXIT_SECONDS = 3.0
"""How long a drained process may take to end by itself."""
_CHILDREN_SECONDS = 2.0
"""How much longer than its children's own drain the parent of a prefork pool waits for them."""


def drain_threads(runtime: Runtime, then: Any) -> threading.Thread:
    """Drain in the background; `then` is called if steps still run at the end of it, or hold the process up.

    A step whose task has ended may hold it, too: its thread, or that of a plain call it made, never returns.
    """

    def drain() -> None:
        if runtime.drain():
            threading.Event().wait(_EXIT_SECONDS)  # where all is well, the process ends meanwhile
        runtime.stop()
        then()

    return _background(drain)


def drain_on_sigterm(runtime: Runtime) -> None:
    """Take SIGTERM for a child of a prefork pool, in its main thread: it drains, too, where the whole process
    group gets SIGTERM (systemd, honcho, Heroku). The pool's own handler would raise in the midst of a step."""
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())

    def wait() -> None:
        asked_to_end.wait()
        drain_threads(runtime, then=leave)

    _background(wait)


def replace_threads(runtime: Runtime, then: Any) -> threading.Thread:
    """Drain in the background while the leases are kept, then call `then`."""

    def replace() -> None:
        runtime.stop()
        then()

    return _background(replace)


def drain_children(settings: "Settings", then: Any) -> threading.Thread:
    """Call `then` when the children of a prefork pool have had their time to drain by themselves. For their parent."""

    def drain() -> None:
        threading.Event().wait(settings.drain_seconds + _CHILDREN_SECONDS)
        then()

    return _background(drain)


def end_children(settings: "Settings", node: str) -> None:
    """Kill the children of a prefork pool and give their leases back."""
    pids: list[int] = [child.pid for child in active_children()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    give_back(settings, [worker_id(node, pid) for pid in pids])


def give_back_of_children(settings: "Settings", node: str) -> None:
    """Give back the leases of a prefork pool's children: what they still run cannot commit, and is told to stop."""
    give_back(settings, [worker_id(node, child.pid) for child in active_children()])


def give_back(settings: "Settings", workers: Sequence[str]) -> None:
    """Give back the leases of processes that are no more, or have had their time."""
    deployment = Deployment(settings)
    try:
        with OwnConnection(deployment.database, _EXIT_SECONDS).use() as connection:
            claims = claims_of(connection, workers)
            rows = release(connection, claims, ring_seconds=settings.ring_seconds)
        deployment.publish(rows)
    except psycopg.Error as error:
        log.warning("leases not released, they will expire: %s", error)


def leave() -> None:
    """End this process although threads still run."""
    log.warning("process ended while steps ran; their leases are released")
    logging.shutdown()
    os._exit(0)


def begin_again() -> None:
    """Replace this process by a new one of the same command."""
    log.warning("restarting the process now")
    logging.shutdown()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _background(target: Any) -> threading.Thread:
    thread = threading.Thread(target=target, name="agent-tasks-drain", daemon=True)
    thread.start()
    return thread

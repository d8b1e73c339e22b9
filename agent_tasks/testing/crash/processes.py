"""The processes in which a task's lives are lived: forks of the test's, and one that is begun anew."""

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent_tasks.testing.crash.journal import Journal
from agent_tasks.testing.crash.plan import Plan

_LONGEST_SECONDS = 120.0
_GLANCE_SECONDS = 0.002


def fork(work: Callable[[], None], journal: Journal) -> int:
    """Do `work` in a fork of this process, and return its exit status. It ends as if it were killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads, which the fork does without
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            journal.note("broke", error=traceback.format_exc()[-2000:])
        finally:
            os._exit(status)
    until = time.monotonic() + _LONGEST_SECONDS
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            journal.note("broke", error=f"it did not end within {_LONGEST_SECONDS:.0f} s")
            return 1
        time.sleep(_GLANCE_SECONDS)
    return os.waitstatus_to_exitcode(ended[1])


def begin_anew(plan: Plan, folder: Path, journal: Journal) -> None:
    """Live a life in an interpreter of its own, with other hashes and addresses."""
    path = folder / "plan.json"
    plan.write(path)
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-m", "agent_tasks.testing.crash", str(path)]
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        journal.note("broke", error=f"it did not end within {_LONGEST_SECONDS:.0f} s")
        return
    if ran.returncode:
        journal.note("broke", error=ran.stderr[-2000:])

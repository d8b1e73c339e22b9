"""Processes that a step forks: they commit nothing of it, and end where it would."""

import os
import signal
import sys
import traceback
from functools import partial
from typing import Any, NoReturn

from agent_tasks.deployment import Deployment
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.process.loops import Loops
from agent_tasks.engine.steps.run import running

_CELERYS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
"""Signals that a worker handles itself, and a forked child is to handle in the usual way."""
_in_child = False


def watch(deployment: Deployment, combiners: Combiners, loops: Loops, *, all_reset: bool = True) -> None:
    """Keep what this process forks from now on, the children of its steps, from using any of these.

    They handle signals in the usual way; `all_reset=False`: no other child does so for our sake.
    """
    os.register_at_fork(after_in_child=partial(_become_child, deployment, combiners, loops, all_reset))


def leave_if_child(error: BaseException | None = None) -> None:
    """End this process as Python does where it is a child that comes to the end of its parent's function."""
    if _in_child:
        _leave(error)


class _Closed:
    """A stand-in, in a forked child, for what a step writes with."""

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("This process was forked by a step: only the step itself can use its context")

    def __getattr__(self, name: str) -> Any:
        self()


def _become_child(deployment: Deployment, combiners: Combiners, loops: Loops, all_reset: bool) -> None:
    global _in_child
    _in_child = True
    if all_reset or running.get() is not None:
        for name in _CELERYS:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    loops.current.stop()
    loops.current.loop.stop()  # before its next turn
    closed: Any = _Closed()
    deployment.database = closed
    for door in vars(combiners):
        setattr(combiners, door, closed)


def _leave(error: BaseException | None) -> NoReturn:
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

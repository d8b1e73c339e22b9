"""Loaded as a module of agents: kills its process where AGENT_TASKS_KILL_AT says.

`<step>:<moment>` is a moment of `agent_tasks.moments`, of a step of any agent, or of `last`: the child whose end joins
its parent. `commit:<moment>` is one of a commit that is no step's: in a gateway, or of what a step writes while it
runs. `…#<n>` is the n-th time that the process comes there. `statement:<n>` is before the n-th
statement from the first claim on, `request:<n>` before the n-th from the loading of this module on: a gateway loads it
as it is first asked for its agents. With AGENT_TASKS_KILL_WITH=SIGSTOP the process is only stopped.
"""

import itertools
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from agent_tasks import moments
from agent_tasks.doorbell import line

_here = threading.local()


def check(point: str) -> None:
    """Raise ValueError for a point that no process can come to."""
    step, moment, time = _parts(point)
    if step in ("statement", "request") and moment.isdecimal():
        return
    if not step or moment not in moments.MOMENTS or time < 1:
        raise ValueError(f"{point} is no point to be killed at: the moments of a step are {', '.join(moments.MOMENTS)}")


def arm(point: str, number: signal.Signals) -> None:
    """Send this process the signal `number` as it comes to `point`. Raises ValueError where it cannot come there."""
    check(point)
    step, moment, _ = _parts(point)
    if step in ("statement", "request"):
        _arm_statement(int(moment), number, has_claimed=step == "request")
    else:
        line.BATCH = 1  # so that there is something between the first row and the others
        moments.watch(_KilledAt(point, number))


class _KilledAt:
    """The threads of a process go from moment to moment, each with a step: `claimed` and `returned` say which."""

    def __init__(self, point: str, number: signal.Signals) -> None:
        step, moment, self._left = _parts(point)
        self._point = f"{step}:{moment}"
        self._number = number
        self._counting = threading.Lock()

    def __call__(self, moment: moments.Moment, step: str | None, joined: Sequence[Mapping[str, Any]]) -> None:
        if step is not None:
            _here.step = step
        if any(row["status"] == "pending" for row in joined):
            _here.step = "last"
        if f"{getattr(_here, 'step', '') or 'commit'}:{moment}" == self._point:
            self._come()
        if moment == "published":
            _here.step = ""

    def _come(self) -> None:
        with self._counting:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._number)


def _parts(point: str) -> tuple[str, str, int]:
    """The step, the moment, and the how many-th time."""
    place, _, time = point.partition("#")
    step, _, moment = place.rpartition(":")
    return step, moment, int(time) if time.isdecimal() else 0 if time else 1


def _arm_statement(left: int, number: signal.Signals, *, has_claimed: bool) -> None:
    execute = psycopg.Connection.execute
    count = itertools.count(1)

    def counted(self: Any, query: Any, *values: Any, **options: Any) -> Any:
        nonlocal has_claimed
        has_claimed = has_claimed or "'claimed'" in str(query)
        if has_claimed and next(count) == left:
            os.kill(os.getpid(), number)
        return execute(self, query, *values, **options)

    psycopg.Connection.execute = counted  # type: ignore[method-assign]


if _point := os.environ.get("AGENT_TASKS_KILL_AT"):
    arm(_point, signal.Signals[os.environ.get("AGENT_TASKS_KILL_WITH", "SIGKILL")])

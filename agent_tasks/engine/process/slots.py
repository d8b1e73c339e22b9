"""Slots and loops lost to steps that do not stop: each is reported, and too many call for a new process."""

import logging
from collections.abc import Callable
from time import monotonic

from agent_tasks import metrics
from agent_tasks.engine.process.loop import Blocked, StepLoop
from agent_tasks.engine.process.loops import Loops
from agent_tasks.engine.process.threads import CallThreads
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.run import StepRun, running
from agent_tasks.engine.steps.unfinished import Unfinished

log = logging.getLogger(__name__)
_MOST_LOOPS = 3
"""How many loops that are still blocked make the process replace itself."""


class LostSlots:
    """Ends tasks whose threads do not stop, and counts each slot as lost until its step comes back.

    An event loop that a step blocks is replaced, and its thread left behind; so is the process, where that happens
    again and again.
    """

    def __init__(
        self,
        active: ActiveRuns,
        loops: Loops,
        call_threads: CallThreads,
        unfinished: Unfinished,
        *,
        overrun_seconds: float,
        lost_too_much: Callable[[str], None],
    ) -> None:
        """`lost_too_much` is called once, with the reason, where the process can only be cured by a new one."""
        self.slots = 1
        """How many slots the process has."""
        self._active = active
        self._loops = loops
        self._call_threads = call_threads
        self._unfinished = unfinished
        self._overrun_seconds = overrun_seconds
        self._lost_too_much = lost_too_much
        self._lost: list[StepRun] = []
        self._left_behind: list[StepLoop] = []
        self._calls_left = 0
        self._replacing = False

    def look(self) -> None:
        """Give up the steps that are overdue; when half of the slots are lost, the process replaces itself."""
        now = monotonic()
        for run in self._active.all():
            if not run.step.is_async and run.overdue(now) > self._overrun_seconds:
                self._give_up(run)
            elif run.hurried and run.overdue(now) and run.cancel_async is not None:
                cancel, run.cancel_async = run.cancel_async, None  # once: it may take a moment to clean up
                cancel()
        self._lost = [run for run in self._lost if not run.returned]
        if self._lost and len(self._lost) * 2 >= self.slots:
            self._replace(f"too many slots are lost: lost={len(self._lost)}")
        self._look_at_calls()
        blocked = self._loops.current.look()
        if blocked is not None and blocked.seconds > self._overrun_seconds:
            self._replace_loop(blocked)

    def _look_at_calls(self) -> None:
        left = self._call_threads.left_behind()
        if len(left) > self._calls_left:
            log.warning("plain calls still run after their steps ended: calls=%d step=%s", len(left), _step(left[-1]))
        self._calls_left = len(left)
        if len(left) * 2 >= self._call_threads.most:
            self._replace(f"too many threads are lost to plain calls that do not end: lost={len(left)}")

    def _replace_loop(self, blocked: Blocked) -> None:
        """Fail the step that blocks the loop, and give back those that wait on it."""
        metrics.LOOPS_REPLACED.inc()
        run = blocked.context.get(running) if blocked.context is not None else None
        log.error(
            "event loop replaced: a step blocked it for %.0f s: step=%s task=%s\n%s",
            blocked.seconds,
            _step(run) if run else "unknown",
            run.claim.id if run else "unknown",
            blocked.stack,
        )
        old = self._loops.replace()
        if run is not None and self._active.has(run):
            self._unfinished.fail_blocking(run, blocked.seconds, blocked.stack)
        self._unfinished.give_up([run for run in self._active.all() if run.loop is old and not run.returned])
        self._left_behind = [loop for loop in self._left_behind if loop.is_alive] + [old]
        if len(self._left_behind) >= _MOST_LOOPS:
            self._replace(f"too many event loops are blocked: blocked={len(self._left_behind)}")

    def _replace(self, reason: str) -> None:
        if not self._replacing:
            self._replacing = True
            self._lost_too_much(reason)

    def _give_up(self, run: StepRun) -> None:
        metrics.SLOTS_LOST.inc()
        log.error(
            "slot lost: a plain step does not stop, check ctx.cancelled in its loops: task=%s step=%s overdue=%.1fs",
            run.claim.id,
            run.claim.step,
            run.overdue(monotonic()),
        )
        self._unfinished.fail_overdue(run)
        self._lost.append(run)


def _step(run: StepRun) -> str:
    return run.step.task_name

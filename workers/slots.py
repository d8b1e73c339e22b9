"""Slots lost to plain steps that do not stop: each is reported, and too many are cured by a new process."""

import logging
from time import monotonic
from typing import TYPE_CHECKING

from agent_tasks import metrics
from workers.run import StepRun

if TYPE_CHECKING:
    from workers.runtime import Runtime

log = logging.getLogger(__name__)


class LostSlots:
    """A thread cannot be killed: the task is ended, the slot counted as lost until the step comes back."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._lost: list[StepRun] = []
        self._replacing = False

    def look(self) -> None:
        """Give up the steps that are overdue; when half of the slots are lost, the process replaces itself."""
        now = monotonic()
        for run in self._runtime.held.all():
            if not run.step.is_async and run.overdue(now) > self._runtime.settings.overrun_seconds:
                self._give_up(run)
            elif self._blocks_the_loop(run, now):
                self._runtime.executor.fail_overdue(run)
                self._replace("the event loop is blocked by an async step; no async step here goes on")
        self._lost = [run for run in self._lost if not run.returned]
        if self._lost and len(self._lost) * 2 >= self._runtime.slots:
            self._replace(f"too many slots are lost: lost={len(self._lost)}")

    def _blocks_the_loop(self, run: StepRun, now: float) -> bool:
        """Whether an async step was not even left behind: the loop had no turn since it should have been."""
        late = 2 * self._runtime.settings.overrun_seconds
        return run.cancel_async is not None and not run.returned and run.overdue(now) > late

    def _replace(self, reason: str) -> None:
        if not self._replacing:
            self._replacing = True
            log.error("the process replaces itself: %s", reason)
            self._runtime.replace_process()

    def _give_up(self, run: StepRun) -> None:
        metrics.SLOTS_LOST.inc()
        log.error(
            "slot lost: a plain step does not stop; check ctx.cancelled in its loops: task=%s step=%s overdue=%.1fs",
            run.claim.id,
            run.claim.step,
            run.overdue(monotonic()),
        )
        self._runtime.executor.fail_overdue(run)
        self._lost.append(run)

"""The Celery app of the clock and of the sweeper: one task a rhythm, on a queue of its own."""

from typing import Any

from celery import Celery, signals

from agent_tasks import metrics
from agent_tasks.celery_app import SWEEP_QUEUE, make_app
from agent_tasks.client import AgentTasks
from agent_tasks.settings import Settings
from beat.sweeper import Sweeper

FAST, SLOW = "beat.sweep", "beat.housekeeping"
SLOW_SECONDS = 30.0
TICK_EXPIRES_SECONDS = 3600.0
"""By the clocks of two machines, so with room for their difference. Late ticks are cheap: one at a time runs."""


def make_beat_app() -> Celery:
    """The schedule is fixed and in memory: two clocks tick twice, and the sweeps are made for that."""
    settings = Settings.load()
    app: Any = make_app("beat", settings, [SWEEP_QUEUE])
    slow_seconds = min(SLOW_SECONDS, settings.ttl_seconds / 4)
    app.conf.update(
        beat_scheduler="beat.clock:Clock",  # Celery's default keeps a file that two clocks fight for
        beat_max_loop_interval=settings.sweep_seconds,
        beat_schedule={
            FAST: _every(FAST, settings.sweep_seconds),
            SLOW: _every(SLOW, slow_seconds),
        },
        worker_pool="threads",
        worker_concurrency=2,
        worker_send_task_events=False,
    )
    signals.worker_ready.connect(lambda **_: metrics.serve(settings.metrics_port, settings.metrics_host), weak=False)
    sweepers: list[Sweeper] = []

    def sweeper() -> Sweeper:
        if not sweepers:
            sweepers.append(Sweeper(AgentTasks(settings)))
        return sweepers[0]

    def sweep() -> None:
        sweeper().run_due()

    def housekeeping() -> None:
        sweeper().run_housekeeping()

    for name, function in ((FAST, sweep), (SLOW, housekeeping)):
        app.task(name=name, ignore_result=True, shared=False, send_events=False)(function)
    return app


def _every(task: str, seconds: float) -> dict[str, Any]:
    return {
        "task": task,
        "schedule": seconds,
        "options": {"queue": SWEEP_QUEUE, "expires": TICK_EXPIRES_SECONDS},
    }

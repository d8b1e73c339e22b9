"""The Celery app of the clock and of the sweeper: one task a rhythm, on a queue of its own."""

from collections.abc import Callable
from typing import Any

from celery import Celery, signals

from agent_tasks import metrics
from agent_tasks.client.client import AgentTasks
from agent_tasks.doorbell.celery_app import SWEEP_QUEUE, make_app, when_it_runs
from agent_tasks.settings import Settings
from agent_tasks.sweeps.sweeper import Sweeper

SWEEP = "beat.sweep"
OTHERS = ("orphans", "retention", "housekeeping")
SLOW_SECONDS = 30.0


def make_beat_app() -> Celery:
    """Make the app. Its schedule is fixed and in memory: two clocks tick twice, which the sweeps are made for."""
    settings = Settings.load()
    app: Any = make_app("beat", settings, [SWEEP_QUEUE])
    kept = min(settings.retention_seconds, settings.delivery_seconds)
    seconds = {
        "orphans": min(SLOW_SECONDS, settings.ttl_seconds / 4),
        "retention": max(min(SLOW_SECONDS, kept / 10), settings.sweep_seconds),
        "housekeeping": max(1.0, settings.sweep_seconds),
    }
    app.conf.update(
        beat_scheduler="agent_tasks.sweeps.clock:Clock",  # Celery's default keeps a file that two clocks fight for
        beat_max_loop_interval=settings.sweep_seconds,
        beat_schedule={
            SWEEP: _every(SWEEP, settings.sweep_seconds),
            **{f"beat.{name}": _every(f"beat.{name}", seconds[name]) for name in OTHERS},
        },
        worker_pool="threads",
        worker_concurrency=1 + len(OTHERS),  # no round waits for another
        worker_send_task_events=False,
    )
    when_it_runs(signals.worker_ready, app, lambda **_: metrics.serve(settings.metrics_port, settings.metrics_host))
    sweepers: list[Sweeper] = []

    def sweeper() -> Sweeper:
        if not sweepers:
            sweepers.append(Sweeper(AgentTasks(settings)))
        return sweepers[0]

    def sweep() -> None:
        sweeper().run_due()

    def other(name: str) -> Callable[[], None]:
        def run() -> None:
            sweeper().run(name)

        return run

    for name, function in {SWEEP: sweep, **{f"beat.{name}": other(name) for name in OTHERS}}.items():
        app.task(name=name, ignore_result=True, shared=False, send_events=False)(function)
    return app


def _every(task: str, seconds: float) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"queue": SWEEP_QUEUE}}

"""The Celery app of the clock and of the sweeper: one task a rhythm, on a queue of its own."""

from collections.abc import Callable
from itertools import product
from typing import Any

from celery import Celery, signals

from agent_tasks import logs, metrics
from agent_tasks.backlog import Backlog
from agent_tasks.client.client import AgentTasks
from agent_tasks.doorbell.celery_app import SWEEP_QUEUE, make_app, when_it_runs
from agent_tasks.doorbell.fast_path import serializer_of
from agent_tasks.doorbell.step_task import StepTask
from agent_tasks.settings import Settings
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.tracing.provider import provide

SLOW_SECONDS = 30.0
NAMES = ("sweep", "orphans", "retention", "bulks", "housekeeping")
PREFIXES = ("beat", "agent_tasks")
"""What the ticks of our own beat, and of the beat of a team's app, are named with: all share one queue."""
TICKS = tuple(f"{prefix}.{name}" for prefix, name in product(PREFIXES, NAMES))


def make_beat_app() -> Celery:
    """Make the app. Its schedule is fixed and in memory: two clocks tick twice, which the sweeps are made for."""
    settings = Settings.load()
    app: Any = make_app("beat", settings, [SWEEP_QUEUE])
    seconds = rhythms(settings)
    app.conf.update(
        beat_scheduler="agent_tasks.sweeps.clock:Clock",  # Celery's default keeps a file that two clocks fight for
        beat_max_loop_interval=settings.sweep_seconds,
        beat_schedule={
            f"beat.{name}": {"task": f"beat.{name}", "schedule": every, "options": {"queue": SWEEP_QUEUE}}
            for name, every in seconds.items()
        },
        worker_pool="threads",
        worker_concurrency=len(seconds),  # no round waits for another
        worker_send_task_events=False,
    )
    when_it_runs(signals.worker_ready, app, lambda **_: _begin(settings))
    sweepers: list[Sweeper] = []

    def sweeper() -> Sweeper:
        if not sweepers:
            sweepers.append(Sweeper(AgentTasks(settings)))
        return sweepers[0]

    register(app, sweeper)
    return app


def _begin(settings: Settings) -> None:
    metrics.serve(settings.metrics_port, settings.metrics_host, Backlog(AgentTasks(settings)))
    logs.set_up(settings.log_format)
    provide("agent-tasks-sweeper", is_on=settings.traces)


def rhythms(settings: Settings) -> dict[str, float]:
    """Return the seconds between two ticks of each kind, by its name."""
    kept = min(settings.retention_seconds, settings.delivery_seconds)
    return {
        "sweep": settings.sweep_seconds,
        "orphans": min(SLOW_SECONDS, settings.ttl_seconds / 4),
        "retention": max(min(SLOW_SECONDS, kept / 10), settings.sweep_seconds),
        "bulks": settings.sweep_seconds,
        "housekeeping": max(1.0, settings.sweep_seconds),
    }


def register(app: Any, sweeper: Callable[[], Sweeper | None], **options: Any) -> None:
    """Register the tasks that ticks are for, whichever beat sends them; they do nothing while there is no sweeper."""

    def swept(name: str) -> Callable[[], None]:
        def run() -> None:
            if (found := sweeper()) is None:
                return
            if name == "sweep":
                found.run_due()
            else:
                found.run(name)

        return run

    serializer = serializer_of(app)
    for prefix, name in product(PREFIXES, NAMES):
        app.task(base=StepTask, name=f"{prefix}.{name}", shared=False, serializer=serializer, **options)(swept(name))

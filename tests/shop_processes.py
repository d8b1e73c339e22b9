"""Processes of the shop's, as its team starts them, and its app as another program has it."""

import sys
from typing import Any

from celery import Celery

from agent_tasks import Settings
from tests.eventually import eventually
from tests.processes import Processes, Running


def begin(
    processes: Processes, settings: Settings, *arguments: str, fresh: bool = False, **environment: str
) -> Running:
    """A worker of the shop's, as the team starts it. `fresh`: in an interpreter that has imported nothing yet."""
    name = f"shop{len(processes.all)}"
    argv = ["-A", "tests.shop", "worker", "-n", f"{name}@test", "-c", "2", "--loglevel", "INFO", *arguments]
    variables = {**processes.environment(), "SHOP_BROKER": settings.redis_url, **environment}
    if fresh:
        worker = processes.start(name, [sys.executable, "-m", "celery", *argv], variables)
    else:
        worker = processes.forked("celery", name, argv, variables)
    eventually(lambda: f"{name}@test ready" in worker.output)
    return worker


def beat(processes: Processes, settings: Settings, *arguments: str) -> Running:
    name = f"shop-beat{len(processes.all)}"
    argv = ["-A", "tests.shop", "beat", "--loglevel", "INFO", *arguments]
    return processes.forked("celery", name, argv, {**processes.environment(), "SHOP_BROKER": settings.redis_url})


def shop(settings: Settings) -> Any:
    """The shop's app, without its tasks, to send them from here. A context manager."""
    return Celery(
        broker=settings.redis_url,
        backend=settings.redis_url,
        set_as_current=False,
        changes={"task_default_queue": "shop"},
    )

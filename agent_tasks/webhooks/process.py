"""The process of a deliverer."""

import asyncio
import logging
import os
import signal

from agent_tasks import logs, metrics
from agent_tasks.deployment import Deployment
from agent_tasks.settings import Settings
from agent_tasks.tracing.provider import provide
from agent_tasks.webhooks.deliverer import Deliverer

log = logging.getLogger(__name__)
_LOG = "[%(asctime)s: %(levelname)s] %(message)s"


def serve(settings: Settings, *, loglevel: str) -> None:
    """Deliver until SIGTERM or SIGINT."""
    logging.basicConfig(level=loglevel, format=_LOG)
    for name in ("httpcore2", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    metrics.serve(settings.metrics_port, settings.metrics_host)
    logs.set_up(settings.log_format)
    provide("agent-tasks-deliverer", is_on=settings.traces)
    deployment = Deployment(settings)
    try:
        asyncio.run(_deliver(deployment))
    finally:
        deployment.close()


async def _deliver(deployment: Deployment) -> None:
    deliverer = Deliverer(deployment)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, deliverer.stop)
    log.info("deliverer running pid=%d", os.getpid())
    await deliverer.run()
    log.info("deliverer ends")

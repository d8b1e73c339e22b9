"""The Celery configuration that every process shares."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, signals
from kombu.entity import Queue

from agent_tasks.doorbell.lists import OURS
from agent_tasks.doorbell.redis_url import RedisUrl
from agent_tasks.doorbell.transport import DoorbellAMQP
from agent_tasks.settings import Settings

log = logging.getLogger(__name__)
SWEEP_QUEUE = "agent-tasks-sweeps"


def make_app(name: str, settings: Settings, queues: Sequence[str]) -> Celery:
    """Return a Celery app on the settings' broker that takes work from `queues` unless -Q says otherwise."""
    url = RedisUrl(settings.redis_url)
    app: Any = Celery(name, broker=url.broker, set_as_current=False, amqp=DoorbellAMQP)
    app.conf.update(
        broker_read_url=url.broker,  # CELERY_BROKER_URL in the environment overrides `broker`, but not these
        broker_write_url=url.broker,
        task_default_queue=queues[0],
        task_queues=[Queue(queue) for queue in queues],
        task_create_missing_queues=True,
        task_ignore_result=True,
        # Early ack: leases in Postgres say who runs what. A late-acked task on Celery 5.7 stops the worker
        # from consuming after Redis was killed.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # an error of Redis, such as being full, ends no worker
        broker_connection_timeout=4,
        broker_transport_options={
            "priority_steps": list(OURS.steps),
            "queue_order_strategy": "priority",
            "socket_timeout": 10,
            "socket_connect_timeout": 4,
            "socket_keepalive": True,
            "health_check_interval": 5,
            **url.transport_options,
        },
        timezone="UTC",
    )
    when_it_runs(signals.celeryd_init, app, lambda **_: _quieten())
    when_it_runs(signals.beat_init, app, lambda **_: _quieten())
    return app


def when_it_runs(signal: Any, app: Celery, handler: Callable[..., None]) -> None:
    """Have `signal` call `handler` where it concerns `app`: a user's own app may run in the same process."""

    def handle(sender: Any = None, instance: Any = None, **fields: Any) -> None:
        if getattr(instance or sender, "app", None) is app:
            handler(sender=sender, **fields)

    signal.connect(handle, weak=False)


def _quieten() -> None:
    for name in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a message is not a step: the executor logs steps
    logging.getLogger("celery.beat").addFilter(_is_no_tick)
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_short_when_unknown)


def _is_no_tick(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Scheduler: Sending due task")


def _short_when_unknown(record: logging.LogRecord) -> bool:
    """Shorten the page, envelope and all, that Celery prints for a step that this worker has no code for."""
    if str(record.msg).startswith("Received unregistered task"):
        record.msg = "no code here for the step %s: passed on to other workers; give its agent a queue of its own"
        record.args = (record.args[0] if isinstance(record.args, tuple) and record.args else "?",)
        record.exc_info = None
    return True

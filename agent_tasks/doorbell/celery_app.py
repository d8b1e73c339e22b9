"""The Celery configuration that every process shares."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery import Celery, signals
from kombu.entity import Queue

from agent_tasks.doorbell import envelope
from agent_tasks.doorbell.lists import OURS
from agent_tasks.doorbell.redis_url import RedisUrl, is_redis
from agent_tasks.doorbell.team_app import team_app
from agent_tasks.doorbell.transport import DoorbellAMQP
from agent_tasks.settings import Settings

log = logging.getLogger(__name__)
SWEEP_QUEUE = "agent-tasks-sweeps"
_REDIS_OPTIONS: dict[str, Any] = {
    "queue_order_strategy": "priority",
    "socket_timeout": 10,
    "socket_connect_timeout": 4,
    "socket_keepalive": True,
    "health_check_interval": 5,
}
_OF_A_BROKER = (
    *("broker_read_url", "broker_write_url", "broker_transport_options", "broker_use_ssl", "broker_login_method"),
    *("broker_failover_strategy", "broker_heartbeat"),
    *("accept_content", "task_serializer", "security_key", "security_key_password", "security_certificate"),
    *("security_cert_store", "security_digest", "task_queue_max_priority", "task_default_queue_type"),
)


def make_app(name: str, settings: Settings, queues: Sequence[str]) -> Celery:
    """Return a Celery app on the broker in force that takes work from `queues` unless -Q says otherwise.

    Raises InvalidInput where AGENT_TASKS_APP cannot be used.
    """
    ours = team_app(settings)
    broker = _broker_of(ours.app) if ours is not None else _broker(settings)
    app: Any = Celery(name, broker=broker["broker_write_url"], set_as_current=False, amqp=DoorbellAMQP)
    app.conf.update(
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
        **broker,
        timezone="UTC",
    )
    when_it_runs(signals.celeryd_init, app, lambda **_: _quieten())
    when_it_runs(signals.beat_init, app, lambda **_: _quieten())
    return app


def _broker(settings: Settings) -> dict[str, Any]:
    """The broker that the settings name. CELERY_BROKER_URL in the environment overrides `broker`, but not these."""
    named = settings.broker_url or settings.redis_url
    if not is_redis(named):
        return {
            "broker_read_url": named,
            "broker_write_url": named,
            "broker_transport_options": {},
            "task_queue_max_priority": 9,
        }
    url = RedisUrl(named)
    return {
        "broker_read_url": url.broker,
        "broker_write_url": url.broker,
        "broker_transport_options": {**_REDIS_OPTIONS, "priority_steps": list(OURS.steps), **url.transport_options},
    }


def _broker_of(app: Any) -> dict[str, Any]:
    """The broker of a team's app, with all that it takes to reach it and to be understood there."""
    # not by `name in app.conf`, which finds no default where the configuration has a namespace, as Django's
    asked = {name: app.conf.get(name) for name in _OF_A_BROKER}
    found: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    for name in ("broker_read_url", "broker_write_url"):
        found[name] = found.get(name) or app.conf.broker_url
    if driver_of(app.connection_for_read()) == "redis":
        found["broker_transport_options"] = {**_REDIS_OPTIONS, **(found.get("broker_transport_options") or {})}
    return found


def driver_of(connection: Any) -> str:
    """Return the kind of broker that one of kombu's connections is to, as `redis` or `amqp`. It connects to nothing."""
    return str(connection.get_transport_cls().driver_type)


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
    shorten_unknown()


def shorten_unknown() -> None:
    """Have Celery say in one line that a worker has no code for a bell's step; what it says of others is as it was."""
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_short_when_unknown)


def _is_no_tick(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Scheduler: Sending due task")


def _short_when_unknown(record: logging.LogRecord) -> bool:
    """Shorten the page that Celery prints, envelope and all; True, since the line stays in the log."""
    said: tuple[Any, ...] = record.args if isinstance(record.args, tuple) else ()
    is_page = str(record.msg).startswith("Received unregistered task")
    if is_page and any(isinstance(each, Mapping) and envelope.HEADER in each for each in said):
        record.msg = "no code here for the step %s: passed on to other workers; give its agent a queue of its own"
        record.args = (said[0],)
        record.exc_info = None
    return True

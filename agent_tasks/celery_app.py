"""The Celery configuration that every process shares."""

import logging
from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.entity import Queue
from kombu.transport import redis as transport
from kombu.transport import virtual

from agent_tasks.bell import PRIORITY_STEPS
from agent_tasks.settings import Settings

log = logging.getLogger(__name__)
SWEEP_QUEUE = "agent-tasks-sweeps"


class DoorbellQoS(virtual.QoS):
    """Takes a message off Redis for good. kombu keeps a copy of each until it is acknowledged, in two round trips a
    message, and delivers it again after the visibility timeout; here the sweep rings again for what was lost.

    What was taken and not begun when a worker ends is put back, if Redis is there. (kombu raises where it is not,
    which ends a worker: "Unrecoverable error: 'NoneType' object has no attribute 'hostname'".)
    """

    channel: Any
    _delivered: Any

    def restore_unacked(self) -> list[Any]:
        self._flush()
        try:
            with self.channel.conn_or_acquire() as client, client.pipeline() as pipeline:
                for message in reversed(self._delivered.values()):  # the oldest last: it is to be taken first again
                    self._put_back(message, pipeline)
                pipeline.execute()
        except Exception as error:
            log.warning("messages not put back, the sweep rings again: %s", error)
        self._delivered.clear()
        return []

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if requeue:
            with self.channel.conn_or_acquire() as client:
                self._put_back(self.get(delivery_tag), client, last=True)
        self.ack(delivery_tag)

    def _put_back(self, message: Any, client: Any, *, last: bool = False) -> None:
        where = message.delivery_info
        self.channel._do_restore_message(message._raw, where["exchange"], where["routing_key"], client, last)


def make_app(name: str, settings: Settings, queues: Sequence[str]) -> Celery:
    """A Celery app on the settings' broker that takes work from `queues` unless told otherwise with -Q."""
    transport.Channel.QoS = DoorbellQoS
    app: Any = Celery(name, broker=settings.redis_url, set_as_current=False)
    app.conf.update(
        broker_read_url=settings.redis_url,  # CELERY_BROKER_URL in the environment outdoes `broker`, but not these
        broker_write_url=settings.redis_url,
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
        broker_connection_timeout=4,
        broker_transport_options={
            "priority_steps": list(PRIORITY_STEPS),
            "queue_order_strategy": "priority",
            "socket_timeout": 10,
            "socket_connect_timeout": 4,
            "socket_keepalive": True,
            "health_check_interval": 5,
        },
        timezone="UTC",
    )
    for name in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a message is no step: the executor tells of steps
    logging.getLogger("celery.beat").addFilter(_is_no_tick)
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_short_when_unknown)
    return app


def _is_no_tick(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Scheduler: Sending due task")


def _short_when_unknown(record: logging.LogRecord) -> bool:
    """Celery prints a page, with the envelope in it, for a step that this worker has no code for."""
    if str(record.msg).startswith("Received unregistered task"):
        record.msg = "no code here for the step %s: rung again for other workers; route it by a queue of its own"
        record.args = (record.args[0] if isinstance(record.args, tuple) and record.args else "?",)
        record.exc_info = None
    return True

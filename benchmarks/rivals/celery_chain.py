"""Bare Celery: each task sends the next, nothing is durable; or, naively, each first commits a row to Postgres."""

import os
import time
from typing import Any

import psycopg
from celery import Celery

from agent_tasks.doorbell.redis_url import RedisUrl, is_redis
from benchmarks.deployment import WARM_UP, Deployment
from benchmarks.rivals.gate import Gate

NOTE = "Celery: prefork 2, early ack, no results, its default prefetch of 4; tasks are sent one by one"
_TABLE = """
    CREATE TABLE IF NOT EXISTS steps (
        task int, step int, committed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (task, step, committed_at))
"""
_INSERT = "INSERT INTO steps (task, step) VALUES (%s, %s)"

app: Any = Celery("chain")
app.conf.update(task_ignore_result=True, task_default_queue="chain", broker_connection_retry_on_startup=True)
_mine: dict[str, Any] = {}
"""What a process of the pool opens once: its connection and its gate."""


def use_broker(url: str) -> None:
    """Take the broker from a URL as our settings take it."""
    named = RedisUrl(url) if is_redis(url) else None
    app.conf.broker_url = app.conf.broker_read_url = app.conf.broker_write_url = named.broker if named else url
    app.conf.broker_transport_options = named.transport_options if named else {}


if "AGENT_TASKS_REDIS_URL" in os.environ:
    use_broker(os.environ.get("AGENT_TASKS_BROKER_URL") or os.environ["AGENT_TASKS_REDIS_URL"])


@app.task(name="chain.spin")
def spin(task: int, steps: int) -> None:
    _pass_on(spin, task, steps)


@app.task(name="chain.spin_committing")
def spin_committing(task: int, steps: int) -> None:
    if "postgres" not in _mine:
        _mine["postgres"] = psycopg.connect(os.environ["AGENT_TASKS_DATABASE_URL"], autocommit=True)
    _mine["postgres"].execute(_INSERT, [task, steps])
    _pass_on(spin_committing, task, steps)


def _pass_on(then: Any, task: int, steps: int) -> None:
    if steps > 1:
        then.delay(task, steps - 1)
        return
    if "gate" not in _mine:
        _mine["gate"] = Gate.of_process()
    _mine["gate"].done()


def undurable(made: Deployment, tasks: int, steps: int) -> float:
    return _measure(made, spin, tasks, steps)


def committing(made: Deployment, tasks: int, steps: int) -> float:
    return _measure(made, spin_committing, tasks, steps)


def _measure(made: Deployment, task: Any, tasks: int, steps: int) -> float:
    """Steps per second."""
    database = made.database_url("celery_chain")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_TABLE)
    use_broker(made.settings.broker_url or made.settings.redis_url)
    arguments = ["celery", "-A", "benchmarks.rivals.celery_chain:app", "worker", "-P", "prefork", "-c", "2"]
    with made.process(*arguments, "--loglevel", "WARNING", database_url=database):
        for count, length in ((WARM_UP, 3), (tasks, steps)):
            gate = Gate.of_benchmark(made)
            start = time.perf_counter()
            with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
                for number in range(count):
                    task.apply_async((number, length), producer=producer)
            gate.until_done(count)
        return tasks * steps / (time.perf_counter() - start)

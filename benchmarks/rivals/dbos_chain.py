"""DBOS: workflows of steps in Postgres, started by the process that runs them, or taken from a queue that it polls."""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from dbos import DBOS, DBOSClient, DBOSConfig

from benchmarks.deployment import WARM_UP, Deployment, until
from benchmarks.rivals.gate import Gate

APPLICATION, VERSION = "bench", "1"
PROCESSES, SUBMITTERS, POLLING_SECONDS = 2, 8, 0.1
NOTE = (
    f"DBOS: {PROCESSES} processes with its default thread pool and connections; the queue without limits of "
    f"concurrency, polled each second, its default, or every {POLLING_SECONDS} s, enqueued by {SUBMITTERS} threads"
)

_LIVING = "SELECT EXISTS (SELECT FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING'))"


@DBOS.step()
def spin(number: int) -> int:
    return number


@DBOS.workflow()
def chain(steps: int) -> int:
    for number in range(steps):
        spin(number)
    return steps


@DBOS.workflow()
def tell() -> float:
    return time.time()


def workflows(made: Deployment, tasks: int, steps: int) -> float:
    """Steps per second where each process starts its share of the workflows itself."""
    gate = Gate.of_benchmark(made)
    with ExitStack() as stack:
        for number in range(PROCESSES):
            share = str(tasks // PROCESSES)
            stack.enter_context(_process(made, number, "start", share, str(steps)))
        gate.until_arrived(PROCESSES)
        gate.open(PROCESSES)
        start = time.perf_counter()
        gate.until_done(PROCESSES)
        return tasks * steps / (time.perf_counter() - start)


def queued(made: Deployment, tasks: int, steps: int, polling_seconds: float = 1.0) -> float:
    """Steps per second where workflows are enqueued from outside, polling included."""
    gate, queue = Gate.of_benchmark(made), _queue(polling_seconds)
    with ExitStack() as stack:
        for number in range(PROCESSES):
            stack.enter_context(_process(made, number, "serve", str(polling_seconds)))
        gate.until_arrived(PROCESSES)
        client = stack.enter_context(_client(made))
        threads = stack.enter_context(ThreadPoolExecutor(SUBMITTERS))
        for count, length in ((WARM_UP, 3), (tasks, steps)):
            start = time.perf_counter()
            list(threads.map(lambda _, length=length: _enqueue(client, queue, "chain", length), range(count)))
            _until_ended(made)
        return tasks * steps / (time.perf_counter() - start)


def queued_polling_often(made: Deployment, tasks: int, steps: int) -> float:
    return queued(made, tasks, steps, POLLING_SECONDS)


def first_step_seconds(made: Deployment, times: int, polling_seconds: float) -> list[float]:
    """From enqueueing to the workflow running, one after the other."""
    gate = Gate.of_benchmark(made)
    seconds: list[float] = []
    with _process(made, 0, "serve", str(polling_seconds)), ExitStack() as stack:
        gate.until_arrived(1)
        client = stack.enter_context(_client(made))
        for index in range(times + 1):
            start = time.time()
            handle = _enqueue(client, _queue(polling_seconds), "tell")
            _until_ended(made)
            seconds.append(handle.get_result() - start)
            time.sleep(0.037 * (index % 7))  # else each would be enqueued at the same point of the poll
    return seconds[1:]


def _process(made: Deployment, number: int, *arguments: str) -> Any:
    database = made.database_url("dbos_chain")
    return made.process("benchmarks.rivals.dbos_chain", str(number), *arguments, database_url=database)


@contextmanager
def _client(made: Deployment) -> Any:
    client = DBOSClient(
        system_database_url=made.database_url("dbos_chain"),
        system_database_pool_size=SUBMITTERS,
        application_name=APPLICATION,
    )
    try:
        yield client
    finally:
        client.destroy()


def _until_ended(made: Deployment) -> None:
    with psycopg.connect(made.database_url("dbos_chain"), autocommit=True) as connection:
        until(lambda: connection.execute(_LIVING).fetchone() == (False,), "all workflows have ended", every=0.02)


def _queue(polling_seconds: float) -> str:
    """A queue for each interval, because one that was slower becomes faster only by a tenth at each poll."""
    return f"polled_each_{polling_seconds * 1000:.0f}_ms"


def _enqueue(client: DBOSClient, queue: str, workflow: str, *arguments: Any) -> Any:
    options: Any = {"workflow_name": workflow, "queue_name": queue, "app_version": VERSION}
    return client.enqueue(options, *arguments)


def _run(number: str, mode: str, *arguments: str) -> None:
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": os.environ["AGENT_TASKS_DATABASE_URL"],
        "application_version": VERSION,
        "executor_id": number,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    if mode == "start":
        DBOS.listen_queues([])
    DBOS.launch()
    gate = Gate.of_process()
    if mode == "serve":
        DBOS.register_queue(_queue(float(arguments[0])), polling_interval_sec=float(arguments[0]))
        gate.arrive()
        threading.Event().wait()  # until the process is killed with its benchmark
    count, steps = map(int, arguments)
    for handle in [DBOS.start_workflow(chain, 3) for _ in range(WARM_UP)]:
        handle.get_result()
    gate.arrive()
    gate.wait()
    for handle in [DBOS.start_workflow(chain, steps) for _ in range(count)]:
        handle.get_result()
    gate.done()


if __name__ == "__main__":
    _run(*sys.argv[1:])

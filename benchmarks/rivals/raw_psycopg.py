"""psycopg alone: one statement commits a step, in two processes; nothing that makes durable steps can be faster."""

import os
import sys
import time
from contextlib import ExitStack

import psycopg

from benchmarks.deployment import WARM_UP, Deployment
from benchmarks.rivals.gate import Gate

PROCESSES = 2
NOTE = (
    f"psycopg: {PROCESSES} processes of one connection, a prepared statement that moves a row and writes a checkpoint"
)
_TABLES = """
    CREATE TABLE IF NOT EXISTS chains (id bigint PRIMARY KEY, step int NOT NULL) WITH (fillfactor = 70);
    CREATE TABLE IF NOT EXISTS steps (chain bigint, step int, state jsonb, PRIMARY KEY (chain, step))
"""
_STEP = """
    WITH moved AS (UPDATE chains SET step = step + 1 WHERE id = %s AND step = %s RETURNING id, step)
    INSERT INTO steps (chain, step, state) SELECT id, step, '{"steps": 1}' FROM moved
"""


def measure(made: Deployment, tasks: int, steps: int) -> float:
    """Steps per second."""
    database = made.database_url("raw_psycopg")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_TABLES)
    gate = Gate.of_benchmark(made)
    with ExitStack() as stack:
        for number in range(PROCESSES):
            arguments = [str(number), str(tasks // PROCESSES), str(steps)]
            stack.enter_context(made.process("benchmarks.rivals.raw_psycopg", *arguments, database_url=database))
        gate.until_arrived(PROCESSES)
        gate.open(PROCESSES)
        start = time.perf_counter()
        gate.until_done(PROCESSES)
        return tasks * steps / (time.perf_counter() - start)


def _run(number: int, count: int, steps: int) -> None:
    gate = Gate.of_process()
    first = time.time_ns() // 1000 * PROCESSES + number
    with psycopg.connect(os.environ["AGENT_TASKS_DATABASE_URL"], autocommit=True) as connection:
        _spin(connection, range(first, first + WARM_UP * PROCESSES, PROCESSES), 3)
        gate.arrive()
        gate.wait()
        first += WARM_UP * PROCESSES
        _spin(connection, range(first, first + count * PROCESSES, PROCESSES), steps)
        gate.done()


def _spin(connection: "psycopg.Connection[tuple[object, ...]]", chains: range, steps: int) -> None:
    for chain in chains:
        connection.execute("INSERT INTO chains VALUES (%s, 0)", [chain])
        for step in range(steps):
            connection.execute(_STEP, [chain, step], prepare=True)


if __name__ == "__main__":
    _run(*map(int, sys.argv[1:]))

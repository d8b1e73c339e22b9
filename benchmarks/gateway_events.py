"""How late an event reaches who follows a task over HTTP, and what a thousand of them cost a gateway."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psutil

from agent_tasks import TaskHandle
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_most

EMITTED, PAUSE_SECONDS, STEADY_SECONDS = 150, 0.06, 0.01
ENDINGS = 50
CLIENTS, WOKEN = 1_000, 200
NAME = "gateway"
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


def run(quick: bool) -> list[Table]:
    part = 10 if quick else 1
    with deployment() as made, made.worker(), serving(made) as (gateway, address):
        return [
            _latency(made, address, EMITTED // part, ENDINGS // part),
            _crowd(made, gateway, address, CLIENTS // part, WOKEN // part),
        ]


def _latency(made: Deployment, address: tuple[str, int], emitted: int, endings: int) -> Table:
    table = Table(
        "Events to a client of the gateway",
        note=f"One stream each time. Emitted: {emitted} events of a running step, from before ctx.emit() to their "
        f"arrival. Ended: {endings} tasks that wait for a signal, one after the other, from the time of the event in "
        "Postgres, which is before its commit, to its arrival.",
    )
    for pause in (PAUSE_SECONDS, STEADY_SECONDS):
        task = made.client.submit("herald", {"events": emitted, "pause": pause})
        with Readers(address, [task]) as readers:
            until(lambda: bool(readers.ended), "the stream has ended", every=0.02)
            seconds = [at - event["data"] for at, event in readers.seen if event["type"] == "said"]
        assert len(seconds) == emitted, len(seconds)
        table.check_times(f"emitted each {pause * 1000:g} ms, to its arrival", seconds, p50=at_most(20, "ms"))
    table.check_times("ended, to its arrival", _endings(made, address, endings), p50=at_most(20, "ms"))
    return table


def _endings(made: Deployment, address: tuple[str, int], number: int) -> list[float]:
    tasks = made.client.submit_many("gate", [None] * number)
    _until_parked(made, number)
    with Readers(address, tasks) as readers:
        return [_ending(made, readers, task) for task in tasks]


def _crowd(made: Deployment, gateway: psutil.Process, address: tuple[str, int], clients: int, woken: int) -> Table:
    table = Table(
        f"{clients:,} clients that each follow a waiting task at one gateway",
        note="The memory is the gateway's own (RSS), the connections are those to Postgres. Ended: as above.",
    )
    before = gateway.memory_info().rss
    tasks = made.client.submit_many("gate", [None] * clients)
    _until_parked(made, clients)
    with Readers(address, tasks) as readers:
        channels = made.client.redis
        until(lambda: len(channels.pubsub_channels("agent-tasks:task:*")) >= clients, "the gateway listens for all")
        until(lambda: len(readers.last) == clients, "all clients have seen the history")
        memory, connections = gateway.memory_info().rss, made.value(_CONNECTIONS, [NAME])
        seconds = [_ending(made, readers, task) for task in tasks[:woken]]
    table.check("memory", at_most(300, "MB"), memory / 1e6, f"{memory / 1e6:,.0f} MB ({before / 1e6:,.0f} MB before)")
    table.check("connections to Postgres", at_most(20, ""), connections, str(connections))
    table.check_times("ended, to its arrival", seconds, p50=at_most(20, "ms"))
    return table


def _until_parked(made: Deployment, number: int) -> None:
    parked = "SELECT count(*) FROM agent_tasks.tasks WHERE status = 'waiting'"
    until(lambda: made.value(parked) >= number, "all tasks wait for their signal")


def _ending(made: Deployment, readers: "Readers", task: TaskHandle) -> float:
    made.client.get(task.id).signal("open")
    until(lambda: str(task.id) in readers.ended, "the stream of a task that ended has ended", every=0.002)
    at, event = readers.last[str(task.id)]
    return at - datetime.fromisoformat(event["at"]).timestamp()


@contextmanager
def serving(made: Deployment) -> Generator[tuple[psutil.Process, tuple[str, int]]]:
    log = made.servers.data_dir / "processes.log"
    url = f"{made.settings.database_url}&application_name={NAME}"
    arguments = ("agent_tasks.cli", "gateway", "--port", "0")
    with made.process(*arguments, gateway_auth="off", database_url=url) as popen:
        found: list[str] = []

        def serves() -> bool:
            found[:] = re.findall(r"running on http://127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
            return bool(found)

        until(serves, "the gateway serves")
        yield psutil.Process(popen.pid), ("127.0.0.1", int(found[-1]))


class Readers:
    """Streams of many tasks, each a connection of its own, read by one thread."""

    def __init__(self, address: tuple[str, int], tasks: list[TaskHandle]) -> None:
        self._address = address
        self._tasks = tasks
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read_all()), daemon=True)
        self._closed = threading.Event()
        self.seen: list[tuple[float, dict[str, Any]]] = []
        """Each event, with the time of its arrival."""
        self.last: dict[str, tuple[float, dict[str, Any]]] = {}
        """The latest one of each task."""
        self.ended: set[str] = set()
        """The tasks whose `end` has come."""

    def __enter__(self) -> "Readers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    async def _read_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(self._read(str(task.id))) for task in self._tasks]
            while not self._closed.is_set():
                await asyncio.sleep(0.05)
            for reader in readers:
                reader.cancel()

    async def _read(self, task_id: str) -> None:
        reader, writer = await asyncio.open_connection(*self._address, limit=2**24)
        try:
            head = f"GET /tasks/{task_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.readline()
            assert b" 200 " in answer, answer
            while line := await reader.readline():
                if line == b"event: end\n":
                    self.ended.add(task_id)
                elif line.startswith(b'data: {"'):
                    event = time.time(), json.loads(line[6:])
                    self.seen.append(event)
                    self.last[task_id] = event
        finally:
            writer.close()

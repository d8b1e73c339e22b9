"""The console: how long pages take, how soon a change is on the screen, and what those who watch cost the workers."""

import asyncio
import random
import statistics
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from benchmarks import searching
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.gateway_events import NAME, serving
from benchmarks.tables import Table, at_most, percentile

EVENTS, OPENED = 2_000, 40
ENDINGS, WATCHERS = 40, 200
STEPS, TASKS, TURNS = 10, 1_500, 3
"""Of the tasks that run beside watchers: the steps of each, how many, and how often with and without watchers."""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
_EVENTS = "SELECT count(*) FROM agent_tasks.events WHERE task_id = %s"
_DONE = b'class="status completed"'


def run(quick: bool) -> list[Table]:
    part = 10 if quick else 1
    with deployment() as made, made.worker(), serving(made) as (_, address):
        tables = [
            _page(made, address, EVENTS // part, OPENED // part),
            _change(made, address, ENDINGS // part),
            _watched(made, address, WATCHERS // part, TASKS // part),
        ]
    ended, living = searching.ENDED, searching.LIVING
    if quick:
        ended, living = ended // searching.QUICK, living // searching.QUICK
    with deployment() as made, serving(made) as (_, address):
        searching.fill(made, ended, living)
        tables.append(_searched(address, ended, living, 5 if quick else 15))
    return tables


def _page(made: Deployment, address: tuple[str, int], events: int, times: int) -> Table:
    task = made.client.submit("loop", {"steps": events // 2})
    task.wait(timeout=300)
    count = made.value(_EVENTS, [task.id])
    table = Table(
        f"A task's page with {count:,} events",
        note=f"{times} times over HTTP, the whole page, one after the other; of an agent whose steps do nothing.",
    )
    seconds = [_read(address, f"/tasks/{task.id}") for _ in range(times)]
    table.check_times("the page", seconds, p99=at_most(300, "ms"))
    seconds = [_read(address, f"/tasks/{task.id}?all=1") for _ in range(times)]
    table.check_times("the page with all of them", seconds)
    return table


def _change(made: Deployment, address: tuple[str, int], number: int) -> Table:
    table = Table(
        "A change to the screen",
        note=f"{number} tasks that wait for a signal, one after the other, each with its page open: from the time of "
        "the end in Postgres, which is before its commit, to the arrival of the page that shows it.",
    )
    tasks = made.client.submit_many("gate", [None] * number)
    until(lambda: all(task.read().status == "waiting" for task in tasks), "all tasks wait for their signal")
    seconds: list[float] = []
    for task in tasks:
        with watching(address, [f"/tasks/{task.id}/live"]) as seen:
            until(lambda seen=seen: bool(seen.pages), "the page has come", every=0.01)
            made.client.get(task.id).signal("open")
            until(lambda seen=seen: seen.done is not None, "the page shows the end", every=0.005)
            finished = task.read().finished_at
            assert finished is not None
            assert seen.done is not None
            seconds.append(seen.done - finished.timestamp())
    table.check_times("ended, to its arrival", seconds, p99=at_most(500, "ms"))
    return table


def _watched(made: Deployment, address: tuple[str, int], watchers: int, tasks: int) -> Table:
    table = Table(
        f"{watchers} who watch the console",
        note=f"{tasks:,} tasks of {STEPS} steps that do nothing, {TURNS} times with and without them, in turns; a "
        "third of the watchers look at Now, a third at Tasks, a third at the page of a task of their own that waits.",
    )
    waiting = made.client.submit_many("gate", [None] * (watchers // 3))
    paths = [f"/tasks/{task.id}/live" for task in waiting]
    paths += ["/live", "/tasks/live"] * ((watchers - len(paths)) // 2)
    alone: list[float] = []
    beside: list[float] = []
    connections = 0
    for _ in range(TURNS):
        alone.append(_rate(made, tasks))
        with watching(address, paths) as seen:
            until(lambda seen=seen: seen.pages >= len(paths), "all have their page")
            beside.append(_rate(made, tasks))
            connections = max(connections, made.value(_CONNECTIONS, [NAME]))
    before, after = statistics.median(alone), statistics.median(beside)
    cost = max(0.0, 100 * (1 - after / before))
    table.check("cost to the workers", at_most(10, "%"), cost, f"{cost:.1f} % ({before:,.0f} to {after:,.0f} steps/s)")
    table.check("connections to Postgres", at_most(20, ""), connections, str(connections))
    return table


def _rate(made: Deployment, tasks: int) -> float:
    """Steps a second, of tasks that are all there from the beginning."""
    start = time.perf_counter()
    made.client.submit_many("loop", [{"steps": STEPS}] * tasks)
    made.until_idle()
    return tasks * STEPS / (time.perf_counter() - start)


def _searched(address: tuple[str, int], ended: int, living: int, rounds: int) -> Table:
    table = Table(
        "The console's Tasks",
        note=f"{ended:,} tasks that have ended and {living:,} that live; the whole page over HTTP with its histogram, "
        "of other values each time.",
    )
    for name, asked in searching.searches(ended).items():
        if {"identity", "pages"} & asked().keys():
            continue
        p95 = percentile([_read(address, f"/tasks?{_query(asked())}") for _ in range(rounds)], 0.95) * 1000
        table.check(f"{name}, p95", at_most(300, "ms"), p95, f"{p95:.1f} ms")
    return table


def _query(asked: dict[str, Any]) -> str:
    fields: dict[str, str] = {}
    for name, value in asked.items():
        if isinstance(value, timedelta):
            value = datetime.now(UTC) - value
        if isinstance(value, datetime):
            value = value.isoformat()
        if isinstance(value, dict):
            value = " ".join(f"{key}={each}" for key, each in value.items())
        fields[name] = str(value)
    return urlencode(fields)


def _read(address: tuple[str, int], path: str) -> float:
    start = time.perf_counter()
    with urlopen(f"http://{address[0]}:{address[1]}/console{path}", timeout=60) as answer:
        answer.read()
    return time.perf_counter() - start


class Seen:
    """What has come to those who watch."""

    def __init__(self) -> None:
        self.pages = 0
        self.done: float | None = None
        """When a page came first that shows a task as completed."""


@contextmanager
def watching(address: tuple[str, int], paths: list[str]) -> Generator[Seen]:
    """Streams of pages, each a connection of its own, read by one thread."""
    seen, closed = Seen(), threading.Event()

    async def read(path: str) -> None:
        await asyncio.sleep(random.uniform(0, 0.5))  # people do not come all at once
        reader, writer = await asyncio.open_connection(*address, limit=2**24)
        try:
            head = f"GET /console{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.readline()
            assert b" 200 " in answer, answer
            while line := await reader.readline():
                seen.pages += line.startswith(b"id: ")
                if _DONE in line and seen.done is None:
                    seen.done = time.time()
        finally:
            writer.close()

    async def read_all() -> None:
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(read(path)) for path in paths]
            while not closed.is_set():
                await asyncio.sleep(0.02)
            for reader in readers:
                reader.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(read_all()), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        closed.set()
        thread.join()

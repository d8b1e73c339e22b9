"""GET /ping of an AgentCore runtime while both cores are busy and 200 sessions work."""

import asyncio
import json
import multiprocessing
import random
import re
import time
from collections.abc import Generator
from contextlib import contextmanager

from benchmarks.deployment import Deployment, deployment, until
from benchmarks.gateway import free_port, listens
from benchmarks.tables import Table, at_most

SESSIONS, BURNERS = 200, 2
PINGS = 1_000
PAUSE = (0.02, 0.08)
"""Seconds between two pings: most of them come when what was read has to be read anew."""
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_WORKING = "SELECT count(*) FROM agent_tasks.tasks WHERE status = 'running' AND due_at > '-infinity'"


def run(quick: bool) -> list[Table]:
    pings = PINGS // 10 if quick else PINGS
    with deployment() as made, made.worker(), made.sweeping(), _runtime(made) as port:
        asyncio.run(_invoke(port))
        until(lambda: made.value(_WORKING) >= SESSIONS * 0.9, f"{SESSIONS} sessions work")
        with _burning():
            times = asyncio.run(_ping(port, pings))
    table = Table(
        "The ping of an AgentCore runtime",
        note=f"{pings:,} pings, one after the other, while {SESSIONS} sessions work (each a task whose steps call "
        f"something that takes a second) and {BURNERS} processes do nothing but compute.",
    )
    table.check_times("GET /ping", times, p99=at_most(50, "ms"))
    return [table]


@contextmanager
def _runtime(made: Deployment) -> Generator[int]:
    port = free_port()
    settings = {"agentcore_agent": "at_work", "agentcore_mode": "acknowledge"}
    with made.process("agent_tasks.cli", "gateway", "--port", str(port), **settings):
        until(lambda: listens(port), "the gateway listens")
        yield port


@contextmanager
def _burning() -> Generator[None]:
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(BURNERS)]
    for each in burners:
        each.start()
    try:
        yield
    finally:
        for each in burners:
            each.kill()
            each.join()


def _burn() -> None:
    while True:
        pass


async def _invoke(port: int) -> None:
    """Have each session start a task that works for as long as the benchmark takes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"rounds": 100_000}).encode()
    for number in range(SESSIONS):
        session = f"session-{number:040}"
        head = f"X-Amzn-Bedrock-AgentCore-Runtime-Session-Id: {session}\r\nContent-Length: {len(body)}\r\n"
        await _ask(reader, writer, f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode() + body)
    writer.close()


async def _ping(port: int, number: int) -> list[float]:
    """How long each of so many pings took, the first ones left out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    for _ in range(number + 20):
        await asyncio.sleep(random.uniform(*PAUSE))
        begin = time.perf_counter()
        said = await _ask(reader, writer, b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        times.append(time.perf_counter() - begin)
        assert json.loads(said)["status"] == "HealthyBusy", said
    writer.close()
    return times[20:]


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    assert length is not None, head
    body = await reader.readexactly(int(length[1]))
    assert head.startswith(b"HTTP/1.1 200"), head + body
    return body

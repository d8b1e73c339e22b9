"""POST /tasks of a gateway against a FastAPI handler that only inserts a row, and GET /tasks/{id} beside it."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.deployment import Deployment, deployment, until
from benchmarks.rivals import fastapi_insert
from benchmarks.tables import Table, at_least, percentile, spread

ROUNDS, SECONDS = 5, 2.5
CONCURRENCIES = (4, 16)
BODY = json.dumps({"agent": "loop", "input": {"steps": 1}}).encode()
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass
class Load:
    """Requests to one server: how many it answered in a second, and how long each of them took."""

    rate: float
    seconds: list[float]


def run(quick: bool) -> list[Table]:
    rounds, seconds = (2, 1.0) if quick else (ROUNDS, SECONDS)
    with deployment() as made, _handler(made) as theirs, _gateway(made) as ours:
        return [_table(made, theirs, ours, number, rounds, seconds) for number in CONCURRENCIES]


def _table(made: Deployment, theirs: int, ours: int, concurrency: int, rounds: int, seconds: float) -> Table:
    tenant = f"clients-{concurrency}"
    token = made.client.create_key(tenant=tenant, subject="ana", scopes=["tasks:write", "tasks:read"]).key
    task = made.client.submit("loop", {"steps": 1}, identity=made.client.keys(tenant)[0].identity)
    insert, submit, get = (
        _request(theirs, "POST /tasks", BODY),
        _request(ours, "POST /tasks", BODY, token),
        _request(ours, f"GET /tasks/{task.id}", b"", token),
    )
    found: dict[str, list[Load]] = {"insert": [], "submit": [], "get": []}
    for _ in range(rounds + 1):
        for name, port, request, status in (
            ("insert", theirs, insert, b"202"),
            ("submit", ours, submit, b"202"),
            ("get", ours, get, b"200"),
        ):
            found[name].append(asyncio.run(_load(port, request, status, concurrency, seconds)))
    return _described({name: loads[1:] for name, loads in found.items()}, concurrency, seconds)


def _described(found: dict[str, list[Load]], concurrency: int, seconds: float) -> Table:
    table = Table(
        f"A gateway under {concurrency} clients at once",
        note=f"{len(found['insert'])} rounds after one to warm up, interleaved, {seconds:g} s each; one process of "
        "each server, on the same Postgres; each request with an API key, each submit audited, published and "
        f"within the tenant's limits. {fastapi_insert.NOTE}.",
    )
    ratios = [ours.rate / theirs.rate for ours, theirs in zip(found["submit"], found["insert"], strict=True)]
    target = at_least(0.6, "×")
    table.check("POST /tasks, against the handler", target, median(ratios), f"{spread(ratios, '{:.2f}')} ×")
    for name, what in (
        ("submit", "POST /tasks"),
        ("insert", "the handler that inserts a row"),
        ("get", "GET /tasks/{id}"),
    ):
        rates = [load.rate for load in found[name]]
        table.check(what, None, median(rates), f"{spread(rates)} requests/s")
        times = [second for load in found[name] for second in load.seconds]
        for part in (0.5, 0.99):
            value = percentile(times, part) * 1000
            table.check(f"{what}, p{part * 100:.0f}", None, value, f"{value:.1f} ms")
    return table


@contextmanager
def _handler(made: Deployment) -> Generator[int]:
    with made.client.database.connection() as connection:
        connection.execute(fastapi_insert.TABLE)
    port = free_port()
    arguments = ["uvicorn", "benchmarks.rivals.fastapi_insert:app", "--port", str(port), "--no-access-log"]
    with made.process(*arguments):
        until(lambda: listens(port), "the handler listens")
        yield port


@contextmanager
def _gateway(made: Deployment) -> Generator[int]:
    port = free_port()
    with made.process(
        "agent_tasks.cli", "gateway", "--port", str(port), gateway_rate="100000/second", gateway_open_tasks="50000"
    ):
        until(lambda: listens(port), "the gateway listens")
        yield port


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _request(port: int, line: str, body: bytes, token: str = "") -> bytes:
    head = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    head += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*head, "\r\n"]).encode() + body


async def _load(port: int, request: bytes, status: bytes, concurrency: int, seconds: float) -> Load:
    """So many connections, each of which sends its next request when the last one is answered.

    Written on sockets: a client for everyday use takes more of the machine than the server that is measured.
    """
    times: list[float] = []
    start = time.perf_counter()

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (begin := time.perf_counter()) < start + seconds:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            assert length is not None, head
            body = await reader.readexactly(int(length[1]))
            assert head.startswith(b"HTTP/1.1 " + status), head + body
            times.append(time.perf_counter() - begin)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(send() for _ in range(concurrency)))
    return Load(len(times) / (time.perf_counter() - start), times)

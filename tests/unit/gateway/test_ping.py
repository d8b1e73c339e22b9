"""What a ping says while Postgres answers late, or not at all."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agent_tasks import Identity
from agent_tasks.gateway.agentcore.ping import PingReader
from agent_tasks.store.database import Database
from agent_tasks.store.errors import ServerAway
from agent_tasks.transitions.invoke import Runtime
from agent_tasks.transitions.ping import Ping

RUNTIME = Runtime("planner", Identity(subject="ana"), 900, 28_800)
SINCE = datetime(2026, 11, 27, 12, tzinfo=UTC)
BUSY: Ping = {"status": "HealthyBusy", "since": SINCE}


@pytest.fixture
def reader() -> Iterator[PingReader]:
    reader = PingReader(Database("postgresql://127.0.0.1:1/nowhere"), RUNTIME)
    yield reader
    reader.close()


def said(reader: PingReader) -> Any:
    return asyncio.run(reader.answer(None)).body  # type: ignore[arg-type]


def test_a_runtime_whose_postgres_has_never_answered_is_healthy_since_one_time(reader: PingReader) -> None:
    first = said(reader)
    assert first.startswith(b'{"status":"Healthy","time_of_last_update":')
    assert said(reader) == first


def test_what_was_seen_last_is_told_while_postgres_is_away(reader: PingReader, monkeypatch: Any) -> None:
    seen: list[Ping] = [BUSY]

    def look() -> Ping:
        if not seen:
            raise ServerAway("gone")
        return seen.pop()

    monkeypatch.setattr(reader, "_look", look)
    expected = f'{{"status":"HealthyBusy","time_of_last_update":{int(SINCE.timestamp())}}}'.encode()
    assert said(reader) == expected
    reader.outdate()
    assert said(reader) == expected


def test_a_reading_that_takes_long_is_not_awaited_where_there_is_an_older_one(
    reader: PingReader, monkeypatch: Any
) -> None:
    go = threading.Event()
    readings: list[bool] = []

    def look() -> Ping:
        if readings:
            assert go.wait(20)
        readings.append(True)
        return BUSY

    async def ping_twice() -> list[bytes]:
        first = await reader.answer(None)  # type: ignore[arg-type]
        reader._read_at -= 1
        second = await reader.answer(None)  # type: ignore[arg-type]
        assert len(readings) == 1
        go.set()
        return [bytes(first.body), bytes(second.body)]

    monkeypatch.setattr(reader, "_look", look)
    first, second = asyncio.run(ping_twice())
    assert first == second


def test_many_pings_share_a_reading(reader: PingReader, monkeypatch: Any) -> None:
    readings: list[bool] = []

    def look() -> Ping:
        readings.append(True)
        return BUSY

    async def ping_often() -> None:
        await asyncio.gather(*(reader.answer(None) for _ in range(100)))  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "_look", look)
    asyncio.run(ping_often())
    assert len(readings) == 1


def test_nobody_waits_for_a_postgres_that_has_not_answered_once(reader: PingReader, monkeypatch: Any) -> None:
    go = threading.Event()
    readings: list[bool] = []

    def look() -> Ping:
        readings.append(True)
        if len(readings) > 1:
            assert go.wait(20)
        raise ServerAway("gone")

    async def ping_twice() -> None:
        reader.outdate()
        first = await reader.answer(None)  # type: ignore[arg-type]
        reader._read_at -= 1
        second = await reader.answer(None)  # type: ignore[arg-type]
        while len(readings) < 2:  # it has been begun, and is not awaited
            await asyncio.sleep(0.001)
        go.set()
        assert bytes(first.body) == bytes(second.body)

    monkeypatch.setattr(reader, "_look", look)
    asyncio.run(ping_twice())

"""Waiting for a task's end while Postgres is away for a moment."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from agent_tasks.gateway import patience
from agent_tasks.store.errors import ServerAway


class Gate:
    def __init__(self) -> None:
        self.closing = asyncio.Event()

    async def in_thread(self, function: Any) -> Any:
        return function(self)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_SECONDS", 0.001)


def failing(times: int) -> Any:
    """What fails so often, and then is there."""
    left = [ServerAway("gone")] * times

    def read(gate: Any) -> str:
        if left:
            raise left.pop()
        return "seen"

    return read


TASK: Any = SimpleNamespace(id="a task")


async def all_looks(gate: Any, gone: "asyncio.Future[Any] | None" = None) -> list[Any]:
    return [seen async for seen in patience.looks_until_end(gate, TASK, gone)]


def test_looks_go_on_when_postgres_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    read = failing(2)

    async def looks_at(gate: Any, *_: Any) -> AsyncGenerator[str]:
        yield "first"
        yield read(gate)

    monkeypatch.setattr(patience, "looks_at", looks_at)

    async def look() -> list[Any]:
        return await all_looks(Gate())

    assert asyncio.run(look()) == ["first", "first", "first", "seen"]


@pytest.mark.parametrize("why", ["the gateway goes", "who asked has gone"])
def test_looks_end_where_nobody_waits_any_more(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    async def looks_at(gate: Any, *_: Any) -> AsyncGenerator[str]:
        yield "first"
        raise ServerAway("gone")

    monkeypatch.setattr(patience, "looks_at", looks_at)
    monkeypatch.setattr(patience, "_PAUSE_SECONDS", 60)

    async def look() -> list[Any]:
        gate, gone = Gate(), asyncio.get_running_loop().create_future()
        if why == "the gateway goes":
            gate.closing.set()
        else:
            gone.set_result(None)
        return await all_looks(gate, gone)

    assert asyncio.run(look()) == ["first"]


def test_a_page_is_read_when_postgres_is_back_or_not_at_all() -> None:
    async def read(gate: Any) -> Any:
        return await patience.read_patiently(gate, TASK, failing(3))

    async def of_a_gateway_that_goes() -> None:
        gate = Gate()
        gate.closing.set()
        await read(gate)

    async def of_one_that_stays() -> Any:
        return await read(Gate())

    assert asyncio.run(of_one_that_stays()) == "seen"
    with pytest.raises(ServerAway):
        asyncio.run(of_a_gateway_that_goes())

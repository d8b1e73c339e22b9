"""What a subscription of MCP reads and tells of one task."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from agent_tasks.gateway.mcp import listening
from agent_tasks.gateway.mcp.listening import Listening


def test_a_task_is_read_again_only_where_its_version_or_its_pause_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    paused = SimpleNamespace(since=SimpleNamespace(timestamp=lambda: 7.0))
    looks = [(1, None), (1, None), (2, None), (2, paused), (2, paused), (3, None)]
    read, sent = list[int](), list[dict[str, Any]]()

    async def all_looks(*_: Any) -> AsyncGenerator[Any]:
        for version, pause in looks:
            yield SimpleNamespace(version=version, paused=pause)

    def shown(_: Any, seen: Any) -> dict[str, Any]:
        read.append(seen.version)
        return {"version": seen.version}

    class Gate:
        async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
            return function(self, *args)

    async def send(notification: Any, **_: Any) -> None:
        sent.append(notification.params)

    monkeypatch.setattr(listening, "looks_until_end", all_looks)
    monkeypatch.setattr(listening, "_shown", shown)
    ctx: Any = SimpleNamespace(session=SimpleNamespace(send_notification=send), request_id=1)
    task: Any = None
    passage: Any = SimpleNamespace(gate=Gate())
    asyncio.run(Listening(passage)._follow(ctx, task, {}))  # pyright: ignore[reportPrivateUsage]
    assert read == [1, 2, 2, 3]
    assert [told["version"] for told in sent] == read

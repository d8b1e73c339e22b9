"""The app of AgentCore's SDK, which serves the same behaviour as the agent `invoked`."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.exceptions import HTTPException

from agent_tasks.gateway.server import listen
from tests.eventually import eventually


def behave(payload: Any) -> Any:
    """The agent as an entrypoint."""
    given = payload if isinstance(payload, dict) else {"payload": payload}
    if given.get("emits") is not None:
        return _stream(given)
    if given.get("raises") is not None:
        raise ValueError(given["raises"])
    if given.get("refuses") is not None:
        raise HTTPException(given["refuses"], "not like this")
    return given.get("payload")


def _stream(given: dict[str, Any]) -> Iterator[Any]:
    yield from given["emits"]
    if given.get("raises") is not None:
        raise ValueError(given["raises"])


@contextmanager
def sdk_app() -> Iterator[str]:
    """The URL of the app, served in a thread."""
    agentcore = pytest.importorskip("bedrock_agentcore", reason="the SDK is not installed")
    app = agentcore.BedrockAgentCoreApp()
    logging.getLogger("bedrock_agentcore.app").setLevel(logging.CRITICAL)
    app.entrypoint(behave)
    sockets = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)

"""An HTTP server in a thread of the test, which goes on when workers are killed."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.eventually import eventually


@contextmanager
def serving(make: Any) -> Generator[str]:
    """Serve what `make(url)` returns; yields the URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(make(url), log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            eventually(lambda: server.started)
            yield url
        finally:
            server.should_exit = True
            thread.join(10)

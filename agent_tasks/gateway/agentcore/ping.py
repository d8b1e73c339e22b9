"""/ping: whether the runtime is busy, and since when, in milliseconds whatever else goes on."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent_tasks.engine.process.own_connection import OwnConnection
from agent_tasks.store.database import Database
from agent_tasks.store.errors import Transient
from agent_tasks.transitions.invoke import Runtime
from agent_tasks.transitions.ping import Ping, ping

log = logging.getLogger(__name__)
_FRESH_SECONDS = 0.1
"""What was read serves for so long, however many ask."""
_PATIENCE_SECONDS = 0.010
"""How long a newer reading is awaited where there is an older one."""
_READ_SECONDS = 2.0
"""How long one reading may take."""


class PingReader:
    """Reads the status in a thread and over a connection of its own, which nothing else keeps busy.

    Used on one event loop.
    """

    def __init__(self, database: Database, runtime: Runtime) -> None:
        self._runtime = runtime
        self._own = OwnConnection(database, _READ_SECONDS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agent-tasks-ping")
        self._known: tuple[str, int] | None = None
        self._guessed = "Healthy", int(time.time())
        """What is told before Postgres has answered once. It does not change, as nothing has been seen to change."""
        self._read_at = -_FRESH_SECONDS
        self._reading: asyncio.Task[None] | None = None
        self._is_outdated = False

    async def answer(self, request: Request) -> Response:
        """The status, and the time in whole seconds at which it became that."""
        status, since = await self._status()
        return JSONResponse({"status": status, "time_of_last_update": since})

    def outdate(self) -> None:
        """Have the next answer wait for a reading that begins after this: an invocation has changed the status."""
        self._is_outdated = True

    async def _status(self) -> tuple[str, int]:
        until = monotonic() + (_READ_SECONDS if self._known is None or self._is_outdated else _PATIENCE_SECONDS)
        if self._is_outdated and self._reading is not None:
            await asyncio.wait({self._reading}, timeout=max(0.0, until - monotonic()))  # it began before
        if self._is_outdated or monotonic() - self._read_at >= _FRESH_SECONDS:
            if self._reading is None:
                self._is_outdated = False
                self._reading = asyncio.create_task(self._read())
            await asyncio.wait({self._reading}, timeout=max(0.0, until - monotonic()))
        return self._known or self._guessed

    async def _read(self) -> None:
        began = monotonic()
        try:
            seen = await asyncio.get_running_loop().run_in_executor(self._thread, self._look)
            self._known, self._read_at = (seen["status"], int(seen["since"].timestamp())), began
        except (Transient, psycopg.Error) as error:
            self._known = self._known or self._guessed  # nobody waits any more for what does not come
            log.warning("status of the runtime not read, the last one is told: %s", error)
        finally:
            self._reading = None

    def _look(self) -> Ping:
        with self._own.use() as connection:
            return ping(connection, self._runtime)

    def close(self) -> None:
        """End the thread, and close the connection."""
        self._thread.submit(self._own.close)
        self._thread.shutdown()

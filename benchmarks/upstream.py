"""A server that keeps its clients waiting for an answer, as a model does; it stands in the benchmark's process."""

import asyncio
import threading
from types import TracebackType


class Upstream:
    """Each client sends a line, its name, and is held until `answer`."""

    def __init__(self) -> None:
        self.port = 0
        self.held: dict[str, asyncio.StreamWriter] = {}
        """By name: those who wait. Whoever hangs up is gone from it at once."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Upstream":
        self._thread.start()
        serving = asyncio.start_server(self._hold, "127.0.0.1", 0, backlog=2_000)
        server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(timeout=10)
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    def answer(self) -> None:
        """Let all go."""
        self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        for writer in self.held.values():
            writer.write(b"done\n")

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = (await reader.readline()).decode().strip()
        self.held[name] = writer
        try:
            await reader.read()  # until the client hangs up
        except ConnectionResetError:
            pass
        finally:
            del self.held[name]
            writer.close()

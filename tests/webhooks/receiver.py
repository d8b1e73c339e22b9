"""A receiver of webhooks that does whatever a bad one does, by the path of its URL."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

Script = list[int | str]


@dataclass(frozen=True)
class Received:
    """A request with its whole body."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    peer: str


@dataclass
class Receiver:
    """A server in a thread of its own; 204 for each path that nothing is said of.

    `says[path]`: the answers in their order, of which the last is the answer to all that follow. A number is a status;
    `hang`, `drip`, `endless`, `close`, `nonsense` and `redirect` are what it does; `503 Retry-After: 7` has a header.
    """

    host: str = "127.0.0.1"
    says: dict[str, Script] = field(default_factory=dict[str, Script])
    received: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    sent: int = 0
    """Bytes of endless bodies."""
    open_now: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    most_at_once: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    port: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)
    """Set, whoever hangs answers what comes next in the script, or ends without an answer."""

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def at(self, path: str) -> list[Received]:
        return [each for each in list(self.received) if each.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = head[0].split(" ")[1]
            peer = writer.get_extra_info("peername")[0]
            self.received.append(Received(path, headers, body, monotonic(), peer))
            self.open_now[path] += 1
            self.most_at_once[path] = max(self.most_at_once[path], self.open_now[path])
            try:
                await self._answer(path, self._next(path), writer, reader)
            finally:
                self.open_now[path] -= 1
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    def _next(self, path: str) -> int | str:
        script = self.says.get(path)
        if not script:
            return 204
        return script.pop(0) if len(script) > 1 else script[0]

    async def _answer(
        self, path: str, said: int | str, writer: asyncio.StreamWriter, reader: asyncio.StreamReader
    ) -> None:
        if said == "close":
            writer.transport.abort()
        elif said == "hang":
            while not reader.at_eof() and not self.let_go.is_set():  # until the other side has enough
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
            if self.let_go.is_set() and (next_said := self._next(path)) != "hang":
                await self._answer(path, next_said, writer, reader)
        elif said == "nonsense":
            writer.write(b"what do you want?\r\n\r\n")
        elif said == "redirect":
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {self.url}/inside\r\nContent-Length: 0\r\n\r\n".encode())
        elif said == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not reader.at_eof():
                writer.write(b".")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
        elif said == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while not reader.at_eof():
                writer.write(bytes(65536))
                await writer.drain()
                self.sent += 65536
        else:
            status, _, header = str(said).partition(" ")
            lines = [f"HTTP/1.1 {status} so", "Content-Length: 0", *([header] if header else []), "", ""]
            writer.write("\r\n".join(lines).encode())
            await writer.drain()


@contextmanager
def receiving(host: str = "127.0.0.1", port: int = 0, **says: Any) -> Iterator[Receiver]:
    """A receiver for as long as this lasts; `says` of its paths, which begin with a slash."""
    receiver = Receiver(host, {f"/{path}": list(script) for path, script in says.items()})
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        ended = asyncio.Event()
        server = await asyncio.start_server(receiver.serve, host, port, backlog=1024)
        receiver.port = server.sockets[0].getsockname()[1]
        started.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    loop, ended = started.result(10)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)

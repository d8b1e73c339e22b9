"""Requests byte by byte, as no client library would send them."""

import json
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

COUNT = b'{"agent": "count", "input": {"to": 1}}'


@dataclass(frozen=True)
class Reply:
    """What came back until the other end closed, or was silent."""

    raw: bytes
    is_closed: bool

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def statuses(self) -> list[int]:
        """Of several answers after each other."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.raw)]

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").lower()

    @property
    def document(self) -> Any:
        return json.loads(self.raw.partition(b"\r\n\r\n")[2])


@dataclass(frozen=True)
class Wire:
    """Where a gateway listens, and a token for it."""

    url: str
    token: str

    def send(self, data: bytes | Iterable[bytes], *, half_close: bool = False, seconds: float = 10) -> Reply:
        """The reply to these bytes. A gateway that stops to read them before all are sent is not an error."""
        parts = urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
            received, is_closed = bytearray(), False
            try:
                for chunk in [data] if isinstance(data, bytes) else data:
                    connection.sendall(chunk)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
                while found := connection.recv(65536):
                    received += found
                is_closed = True
            except TimeoutError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                is_closed = True
        return Reply(bytes(received), is_closed)

    def head(self, method: str, path: str | bytes, *lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
        """A request's head, without the empty line at its end."""
        target = path if isinstance(path, bytes) else path.encode()
        authorization = b"Authorization: Bearer " + self.token.encode("utf-8", "surrogatepass")
        return b"\r\n".join([method.encode() + b" " + target + b" " + version, b"Host: gateway", authorization, *lines])

    def get(self, path: str | bytes, *lines: bytes) -> Reply:
        return self.send(self.head("GET", path, *lines, b"Connection: close") + b"\r\n\r\n")

    def post(self, path: str | bytes, body: bytes = COUNT, *lines: bytes, kind: bytes = b"application/json") -> Reply:
        length = b"Content-Length: %d" % len(body)
        head = self.head("POST", path, b"Content-Type: " + kind, length, *lines, b"Connection: close")
        return self.send(head + b"\r\n\r\n" + body)

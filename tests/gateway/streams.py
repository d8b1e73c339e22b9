"""A stream of server-sent events as a client reads it, which may be cut at any byte."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Told:
    """One event of a stream; a comment has only `comment`."""

    id: str | None = None
    name: str | None = None
    data: Any = None
    comment: str | None = None


class Stream:
    """One connection. What it has read is only what came in whole events, as a browser takes it."""

    def __init__(
        self, url: str, task_id: str, token: str | None = None, last: str | None = None, seconds: float = 20
    ) -> None:
        """`last`: the Last-Event-ID; `seconds`: how long nothing may come."""
        head = {"Accept": "text/event-stream"}
        if token is not None:
            head["Authorization"] = f"Bearer {token}"
        if last is not None:
            head["Last-Event-ID"] = last
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=seconds)
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        # HTTP/1.0, so that the answer comes without chunks, and what is cut is the stream itself
        self._socket.sendall(f"GET /tasks/{task_id}/events HTTP/1.0\r\n{lines}\r\n".encode())
        self._read = b""
        while b"\r\n\r\n" not in self._read:
            self._receive()
        answer, _, self._read = self._read.partition(b"\r\n\r\n")
        self.head = answer.decode()
        assert " 200 " in self.head, self.head

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def __iter__(self) -> Iterator[Told]:
        """What comes, until the stream is closed by the gateway."""
        while True:
            while b"\n\n" in self._read:
                block, _, self._read = self._read.partition(b"\n\n")
                yield _told(block.decode())
            if not self._receive():
                return

    def first(self, bytes: int) -> list[Told]:
        """The whole events in the first so many bytes of the stream, or in all of it where there are fewer."""
        while len(self._read) < bytes and self._receive():
            pass
        *blocks, _ = self._read[:bytes].split(b"\n\n")
        return [_told(block.decode()) for block in blocks]

    def until(self, name: str) -> list[Told]:
        """What comes up to an event of this name."""
        found: list[Told] = []
        for told in self:
            found.append(told)
            if told.name == name:
                return found
        raise AssertionError(f"the stream ended without {name!r}: {found}")

    def cut(self) -> None:
        self._socket.close()

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:  # the gateway was killed
            return False
        self._read += data
        return bool(data)


def _told(block: str) -> Told:
    if block.startswith(":"):
        return Told(comment=block[1:].strip())
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return Told(fields.get("id"), fields.get("event"), json.loads(fields["data"]))


def ids(told: list[Told]) -> list[int]:
    return [int(each.id) for each in told if each.id is not None]

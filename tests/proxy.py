"""A proxy between the system and a server, which delays, cuts or swallows what passes through it."""

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

Address = tuple[str, int] | str
"""A host and a port, or the path of a unix socket."""


class Proxy:
    """Listens on a port of 127.0.0.1 and hands on to `target`; what it does can be changed at any time."""

    def __init__(self, target: Address, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: it speaks TLS to whoever connects, with the certificate in there."""
        self.target = target
        self._tls = tls
        self.delay = 0.0
        """How late each piece of an answer comes, in seconds."""
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self.lost_answer = 0
        """Counted from 1 on: the answer that is lost, and its connection with it; 0: none is."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._flowing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def swallow(self) -> None:
        """Nothing comes through any more, on no connection, and nothing is said: as with a host that vanished."""
        self._flowing.clear()

    def swallow_what_is_open(self) -> None:
        """As `swallow`, but new connections work: as with a router that forgot the old ones."""
        old, self._flowing = self._flowing, threading.Event()
        self._flowing.set()
        old.clear()

    def flow(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """End every connection."""
        for one in list(self._sockets):
            self._end(one)

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near, self._flowing), daemon=True).start()

    def _serve(self, near: socket.socket, flowing: threading.Event) -> None:
        self._sockets.add(near)
        flowing.wait()
        try:
            if self._tls is not None:
                self._sockets.discard(near)
                near = self._tls.wrap_socket(near, server_side=True)
                self._sockets.add(near)
            far = self._reach()
        except OSError:
            self._end(near)
            return
        self._sockets.add(far)
        threading.Thread(target=self._pump, args=(near, far, flowing, False), daemon=True).start()
        self._pump(far, near, flowing, True)

    def _reach(self) -> socket.socket:
        if isinstance(self.target, str):
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.target)
            return far
        return socket.create_connection(self.target, timeout=None)

    def _pump(self, source: socket.socket, sink: socket.socket, flowing: threading.Event, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                flowing.wait()
                if is_answer and self.lost_answer:
                    self.lost_answer -= 1
                    if not self.lost_answer:
                        break
                if is_answer and self.delay:
                    threading.Event().wait(self.delay)
                sink.sendall(data)
        self._end(source)
        self._end(sink)

    def _end(self, one: socket.socket) -> None:
        self._sockets.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def address_of(url: str) -> Address:
    """Where the server of a Redis or Postgres URL listens."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host", [""])[0] or unquote(parts.hostname or "")
    if folder.startswith("/"):
        return f"{folder}/.s.PGSQL.{parse_qs(parts.query).get('port', [parts.port or 5432])[0]}"
    return (parts.hostname or "localhost", parts.port or {"postgresql": 5432, "redis": 6379}[parts.scheme])


def through(url: str, *proxies: Proxy) -> str:
    """`url` by way of the proxies; of several, Postgres takes the first that answers."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
    query: Any = "&".join(p for p in parts.query.split("&") if p and not p.startswith(("host=", "port=")))
    return urlunsplit((parts.scheme, f"{login}@{hosts}" if login else hosts, parts.path, query, ""))

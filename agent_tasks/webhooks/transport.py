"""POST to an address of the public internet: checked where the socket opens, once, with nothing kept afterwards."""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import httpcore2
import httpx2

from agent_tasks.task.public_address import Allowed

READ_BYTES = 64 * 1024
"""The part of an answer's body that is read."""
_RETRY_AFTER = b"retry-after"

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Finds the addresses of a host. Raises OSError, or UnicodeError for what is no name."""

IsWanted = Callable[[], Awaitable[bool]]


class NotSent(Exception):
    """Nothing was sent, or what was sent has no whole answer; says why."""


class Withdrawn(Exception):
    """The delivery was not to be made any more when its socket was to be opened."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, whose body was read as far as it is read."""

    status: int
    retry_after: str | None = None


class Transport:
    """Sends requests, each over a connection of its own; no redirects, no proxies, no cookies.

    `allowed`: what may be connected to. `seconds`: how long a request may take, from the look-up of the name to the
    end of the answer. `resolve`: by default as this machine does.
    """

    def __init__(self, allowed: Allowed, *, seconds: float, resolve: Resolve | None = None) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._resolve = resolve or _look_up
        self._tls = ssl.create_default_context()

    async def post(
        self, url: str, headers: dict[str, str], body: bytes, *, is_wanted: IsWanted | None = None
    ) -> Answer:
        """Send `body`. `is_wanted` is asked right before the socket opens. Raises NotSent and Withdrawn."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(_parsed(url), headers, body, is_wanted)
        except TimeoutError:
            raise NotSent(f"no whole answer within {self._seconds:g} seconds") from None
        except httpcore2.TimeoutException:
            raise NotSent("the connection timed out") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.StreamError, OSError) as error:
            raise NotSent(f"{_KINDS.get(type(error), 'the connection failed')}: {error}") from error

    async def _post(self, url: httpx2.URL, headers: dict[str, str], body: bytes, is_wanted: IsWanted | None) -> Answer:
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        backend = _CheckedBackend(self._allowed, self._resolve, is_wanted)
        sent = httpcore2.Request(
            "POST",
            target,
            headers={"Host": url.netloc.decode("ascii"), **headers, "Content-Length": str(len(body)), **_CLOSES},
            content=body,
        )
        async with httpcore2.AsyncHTTPConnection(
            target.origin, ssl_context=self._tls, network_backend=backend
        ) as connection:
            response = await connection.handle_async_request(sent)
            try:
                await _read(response)
            finally:
                await response.aclose()
        return Answer(response.status, _header(response, _RETRY_AFTER))


_CLOSES = {"Connection": "close"}
_KINDS: dict[type[BaseException], str] = {
    httpcore2.ConnectError: "it cannot be connected to",
    httpcore2.RemoteProtocolError: "the answer is no HTTP",
    httpcore2.ReadError: "the connection broke",
}


def _parsed(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise NotSent(f"the URL cannot be read: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise NotSent("the URL must be of http or https, with a host and no user")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise NotSent("the URL has a port that is none")
    return parsed


async def _read(response: httpcore2.Response) -> None:
    """Read the body as far as it is read: what is sent beyond that is nobody's."""
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size >= READ_BYTES:
            return


def _header(response: httpcore2.Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), None)


class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Opens a socket to an address that was checked, never to a name: whatever DNS says next."""

    def __init__(self, allowed: Allowed, resolve: Resolve, is_wanted: IsWanted | None) -> None:
        self._sockets = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())
        self._allowed = allowed
        self._resolve = resolve
        self._is_wanted = is_wanted

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        # one bad address refuses the name: which of them is used is not up to the other side
        if not addresses or not all(self._allowed.lets(host, address) for address in addresses):
            raise NotSent(
                f"{host} is refused: its address is not on the public internet. "
                "AGENT_TASKS_WEBHOOK_ALLOW names what is allowed beyond that."
            )
        if self._is_wanted is not None and not await self._is_wanted():
            raise Withdrawn
        for address in addresses[:-1]:
            try:
                return await self._sockets.connect_tcp(address, port, _TRY_SECONDS, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NotSent(f"{host} cannot be resolved: {error}") from error

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        raise NotSent("sockets of this machine are refused")


_TRY_SECONDS = 3.0
"""For one of several addresses."""


async def _look_up(host: str, port: int) -> list[str]:
    """Ask this machine's resolver, in a thread of its own: look-ups that hang hold up no others, and not the end."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str] | None, error: Exception | None) -> None:
        if found.done():
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(addresses or [])

    def look() -> None:
        addresses, failure = None, None
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except (OSError, UnicodeError) as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=look, name="agent-tasks-resolver", daemon=True).start()
    return await found

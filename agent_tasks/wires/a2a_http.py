"""The HTTP of A2A: a client that follows no redirect and reads no more than it is allowed."""

import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from importlib import import_module

import anyio
import httpx

from agent_tasks.authoring.peers.peer import Peer
from agent_tasks.wires.limits import PLAIN, error_of, within


def client(peer: Peer, headers: dict[str, str]) -> httpx.AsyncClient:
    """Return a client for requests to a peer, to be entered and left."""
    return httpx.AsyncClient(transport=_Guarded(peer), headers=PLAIN | headers, timeout=httpx.Timeout(peer.timeout))


class _Guarded(httpx.AsyncBaseTransport):
    """Raises what `error_of` makes of an answer, and PayloadTooLarge for one that is too long."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._inner = httpx.AsyncHTTPTransport(verify=_tls())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if (error := error_of(self._peer.url, response.status_code, response.headers)) is not None:
            await response.aclose()
            raise error
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Counted(response.stream, self._peer)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, peer: Peer) -> None:
        self._inner = inner
        self._peer = peer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in within(aiter(self._inner), self._peer.url, self._peer.answer_bytes):
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


def prepare() -> None:
    """Import and read what a first request needs, so that it does not on an event loop; where no loop runs."""
    _tls()
    for name in ("h11", "httpcore"):  # httpx imports it with its first transport
        import_module(name)
    anyio.run(anyio.sleep, 0)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The certificates are read once: that takes longer than a request."""
    return ssl.create_default_context()

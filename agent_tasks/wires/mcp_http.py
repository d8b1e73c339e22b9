"""The HTTP of MCP, by the library that its own library uses: its types are not those of the other protocol's."""

import httpx2

from agent_tasks.authoring.peers.peer import Peer
from agent_tasks.wires.limits import PLAIN, Counted, error_of
from agent_tasks.wires.ready import certificates, make_ready


def client(peer: Peer, headers: dict[str, str]) -> httpx2.AsyncClient:
    """Return a client for requests to a peer, to be entered and left. It follows no redirect."""
    return httpx2.AsyncClient(transport=_Guarded(peer), headers=PLAIN | headers, timeout=httpx2.Timeout(peer.timeout))


def prepare() -> None:
    """Have ready what a first request needs; called where no loop runs."""
    make_ready("h11", "httpcore2")  # httpx2 imports them with its first transport


class _Guarded(httpx2.AsyncBaseTransport):
    """Raises what `error_of` makes of an answer, and PayloadTooLarge for one that is too long."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._inner = httpx2.AsyncHTTPTransport(verify=certificates())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if (error := error_of(self._peer.url, response.status_code, response.headers)) is not None:
            await response.aclose()
            raise error
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self._peer.url, self._peer.answer_bytes)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(Counted, httpx2.AsyncByteStream):
    """An answer as the library takes it."""

"""The HTTP of A2A, by the library that its own library uses: its types are not those of the other protocol's."""

import httpx

from agent_tasks.authoring.peers.peer import Peer
from agent_tasks.wires.limits import PLAIN, Counted, error_of
from agent_tasks.wires.ready import certificates, make_ready


def client(peer: Peer, headers: dict[str, str]) -> httpx.AsyncClient:
    """Return a client for requests to a peer, to be entered and left. It follows no redirect."""
    return httpx.AsyncClient(transport=_Guarded(peer), headers=PLAIN | headers, timeout=httpx.Timeout(peer.timeout))


def prepare() -> None:
    """Have ready what a first request needs; called where no loop runs."""
    make_ready("h11", "httpcore")  # httpx imports them with its first transport


class _Guarded(httpx.AsyncBaseTransport):
    """Raises what `error_of` makes of an answer, and PayloadTooLarge for one that is too long."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._inner = httpx.AsyncHTTPTransport(verify=certificates())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if (error := error_of(self._peer.url, response.status_code, response.headers)) is not None:
            await response.aclose()
            raise error
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Counted(response.stream, self._peer.url, self._peer.answer_bytes)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(Counted, httpx.AsyncByteStream):
    """An answer as the library takes it."""

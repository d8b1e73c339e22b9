"""One connection to the gateway: uvicorn's, with bounds on the head of a request, and refusals that arrive."""

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from agent_tasks.gateway import problems
from agent_tasks.gateway.refusals import Refused

HEAD_BYTES = 64 * 1024
"""Of the request line and all headers."""
MOST_HEADERS = 200
LINGER_SECONDS = 5.0
"""How long what a refused client still sends is read away: closed at once, it would lose the answer."""
_SHOWN = 160


class Connection(H11Protocol):
    """Refuses what is no HTTP with a problem document, and does not wait forever for a head.

    The head of a request must come within AGENT_TASKS_GATEWAY_BODY_SECONDS. A client that has sent all of its request
    may close its half of the connection, and is answered nevertheless.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: _Reader = _Reader(h11.SERVER, HEAD_BYTES)
        self._head_seconds: float = self.config.app.state.settings.gateway_body_seconds  # pyright: ignore
        self._late: asyncio.TimerHandle | None = None
        self.lingering: asyncio.TimerHandle | None = None
        self._has_ended = False
        """The client has closed its half."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(_Transport(transport, self))  # pyright: ignore[reportArgumentType]
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._late, self.lingering):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self.lingering is None:
            super().data_received(data)
            self._watch_head()

    def eof_received(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        cycle = self._current
        if cycle is None or cycle.more_body or cycle.response_started or self.lingering is not None:
            return False
        self._has_ended = True
        self._end_with_last()
        return True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._has_ended:
            self._end_with_last()
        self._watch_head()

    def _end_with_last(self) -> None:
        """Close after the last of the requests that came before the client closed its half."""
        cycle = self._current
        if cycle is None or cycle.response_complete or cycle.more_body:
            self.transport.close()  # what else came is no whole request
        elif not self.conn.trailing_data[0]:
            cycle.keep_alive = False

    def shutdown(self) -> None:
        if self.lingering is not None:
            self.transport.abort()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong with bytes that are no request, or no body."""
        error = self.conn.refusal
        if error is not None and error.error_status_hint == 431:
            self._refuse(
                431,
                "head_too_large",
                "The head is too large",
                f"The request line and the headers are more than {HEAD_BYTES:,} bytes, or more than {MOST_HEADERS} "
                "headers. Send less in them: what is large belongs into the body.",
            )
        else:
            why = str(error or msg)[:_SHOWN]
            self._refuse(
                400, "no_http", "This is no HTTP/1.1 request", f"{why}. Send HTTP/1.1 by RFC 9112, unencrypted."
            )

    def _should_upgrade(self) -> bool:
        """No protocol but this one is spoken: a request that would like another is answered as it is."""
        return False

    @property
    def _current(self) -> RequestResponseCycle | None:
        """The last request and its answer; None before the first."""
        return self.cycle

    def linger(self) -> None:
        """Close our half of the connection, and the other when the client has, or has had its time."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self.lingering = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _watch_head(self) -> None:
        """Have a timer run as long as the next request is awaited."""
        cycle = self._current
        awaited = (cycle is None or cycle.response_complete) and not self.transport.is_closing()
        if awaited and self._late is None:
            self._late = self.loop.call_later(self._head_seconds, self._head_is_late)
        elif not awaited and self._late is not None:
            self._late.cancel()
            self._late = None

    def _head_is_late(self) -> None:
        self._late = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0] and self.conn.our_state is h11.IDLE:
            self._refuse(
                408,
                "request_timeout",
                "The request did not come in time",
                f"The head of the request did not come in {self._head_seconds:g} s. Send it again, at once.",
            )
        else:
            self.transport.close()

    def _refuse(self, status: int, kind: str, title: str, detail: str) -> None:
        if (cycle := self._current) is not None and not cycle.response_complete:
            cycle.disconnected = True  # the app is told so, and what it answers is dropped
            cycle.message_event.set()
            if cycle.response_started:
                return self.transport.abort()
        answer = problems.of_refusal(Refused(status, kind, title, detail, headers={"Connection": "close"}))
        answer.count()
        headers = [*answer.raw_headers, (b"date", formatdate(usegmt=True).encode())]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode()),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.linger()


class _Reader(h11.Connection):
    """Reads requests, and refuses those whose heads are too large, or that two readers could cut differently."""

    refusal: h11.RemoteProtocolError | None = None

    def next_event(self) -> Any:
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                _check(event)
        except h11.RemoteProtocolError as error:
            self.refusal = error
            raise
        return event


def _check(request: h11.Request) -> None:
    names = [name for name, _ in request.headers]
    size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers)
    if size > HEAD_BYTES or len(names) > MOST_HEADERS:
        raise h11.RemoteProtocolError("The head is too large", error_status_hint=431)
    if b"transfer-encoding" in names and b"content-length" in names:
        raise h11.RemoteProtocolError("Both Transfer-Encoding and Content-Length are given")


class _Transport:
    """A transport that closes in a way that lets the last answer arrive."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport, self._connection = transport, connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._connection.lingering is not None or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if self._connection.conn.their_state in (h11.SEND_BODY, h11.ERROR):
            self._connection.linger()
        else:
            self._transport.close()

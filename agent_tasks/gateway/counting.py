"""What /metrics says of requests: counted, and timed up to the head of the answer."""

from functools import cache
from time import perf_counter

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_tasks import metrics

_NO_OPERATION = "none"
"""For paths and methods that are none: what a caller makes up is no label."""


class Counting:
    """ASGI middleware that counts each request by its operation and the status of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        is_answered = False

        def count(status: int) -> None:
            nonlocal is_answered
            is_answered = True
            operation = getattr(scope.get("route"), "name", _NO_OPERATION)
            _requests(operation, str(status)).inc()
            _seconds(operation).observe(perf_counter() - began)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            if not is_answered:
                count(500)  # it is answered outside of here
            raise


@cache
def _requests(operation: str, status: str) -> Counter:
    return metrics.GATEWAY_REQUESTS.labels(operation, status)


@cache
def _seconds(operation: str) -> Histogram:
    return metrics.GATEWAY_SECONDS.labels(operation)

"""Routes whose bodies are read strictly, with models as parameters that OpenAPI knows."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from agent_tasks.gateway.reading import parse
from agent_tasks.gateway.receiving import check_media_type, read_body
from agent_tasks.settings import Settings

INLINE = 64 * 1024
"""A body of more bytes is parsed in a thread: meanwhile the event loop serves others."""


class StrictRequest(Request):
    """A request whose body was received and parsed before FastAPI asks for it: what that raises, it would hide."""

    async def receive_json(self, settings: Settings, *, is_required: bool) -> None:
        """Raises Refused. A body that is not required may be left out, and then needs no Content-Type."""
        if is_required or "content-type" in self.headers:
            check_media_type(self)
        body = await read_body(self, settings.gateway_body_limit, settings.gateway_body_seconds)
        if body or is_required:
            check_media_type(self)
            self._json = await run_in_threadpool(parse, body) if len(body) > INLINE else parse(body)
        self._body = body


class StrictRoute(APIRoute):
    """For `APIRouter(route_class=StrictRoute)`, in an application whose `state.settings` are the Settings.

    Every refusal of a body is raised as Refused, outside of FastAPI's own handling; what does not fit the model is its
    RequestValidationError.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if (field := self.body_field) is not None:
                await strict.receive_json(request.app.state.settings, is_required=field.field_info.is_required())
            return await handle(strict)

        return handle_strictly

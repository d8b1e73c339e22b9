"""Visit: a person's request to the console, from its cookie to the page that answers it."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from agent_tasks.client import sign_in
from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway import problems
from agent_tasks.gateway.arrival import Admitted, Arrival, Caller
from agent_tasks.gateway.console.again import again, is_own
from agent_tasks.gateway.console.answer import bare_frame, shown
from agent_tasks.gateway.console.visitor import Look, Query
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.door import Admission, gate_of
from agent_tasks.gateway.form import FORM, fields_of
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.loopback import check_local
from agent_tasks.gateway.operations import Operation
from agent_tasks.gateway.receiving import read_body
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages.authenticate import CONSOLE
from agent_tasks.gateway.stages.submit import submit
from agent_tasks.store.errors import Transient

T = TypeVar("T")
COOKIE = "agent_tasks_session"
KNOWN = (AgentTaskError, Refused, Transient)


class ForeignForm(Refused):
    """A form that no page of this session has made."""


@dataclass(frozen=True)
class Visit:
    """A request to the console."""

    request: Request
    gate: Gate
    session: str | None

    @classmethod
    def of(cls, request: Request) -> "Visit":
        """Raises Refused for a request that comes from elsewhere, where authentication is off."""
        gate = gate_of(request)
        if gate.settings.gateway_auth == "off":
            check_local(request)
        return cls(request, gate, request.cookies.get(COOKIE))

    @property
    def base(self) -> str:
        """The path of the console, below that at which a proxy has mounted the gateway."""
        return base_of(self.request)

    @property
    def query(self) -> Query:
        """Raises Refused for more than a hundred fields."""
        try:
            return parse_qs(self.request.url.query, keep_blank_values=False, max_num_fields=100)
        except ValueError:
            raise Refused(
                400, "invalid_query", "The address cannot be read", "It asks for more than a hundred things."
            ) from None

    @property
    def path(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.request.path_params.items()}

    def form_token(self) -> str:
        """What each form of this session must bring along; there is none where authentication is off."""
        if self.gate.settings.gateway_auth == "off" or self.session is None:
            return ""
        return sign_in.form_token(self.gate.client, self.session)

    def arrival(self, operation: Operation, task_id: str | None = None, target: str | None = None) -> Arrival:
        origin = self.request.client.host if self.request.client else "unknown"
        return Arrival(CONSOLE, origin, self.session, operation, task_id, target)

    async def look(self, operation: Operation, work: Callable[[Look], T]) -> T:
        """What `work` returns, done in a thread as the visitor. Raises what it and the stages raise."""
        return await self._do(operation, lambda _, caller: work(Look(self.gate, caller, self.path, self.query)))

    async def act(self, operation: Operation, work: Callable[[Gate, Caller], T], *, target: str | None = None) -> T:
        """What `work` returns, done as the visitor and audited. Raises what it and the stages raise."""
        return await self._do(operation, work, target)

    async def _do(self, operation: Operation, work: Callable[[Gate, Caller], T], target: str | None = None) -> T:
        admission = Admission(self.arrival(operation, self.path.get("id"), target))
        self.request.state.admission = admission

        def do(gate: Gate) -> T:
            return submit(gate, admission.admit(gate), lambda caller: work(gate, caller))

        return await self.gate.in_thread(do)

    async def form(self) -> dict[str, str]:
        """The fields of the form that was sent. Raises Refused for one that no page of this session has made."""
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != FORM:
            raise Refused(
                415,
                "unsupported_media_type",
                "The body is of another kind",
                "Only forms of the console are taken here.",
            )
        settings = self.gate.settings
        given = fields_of(await read_body(self.request, settings.gateway_body_limit, settings.gateway_body_seconds))
        token = given.pop("form_token", "")
        self.request.state.filled = given
        if settings.gateway_auth == "off":
            return given
        if self.session is None or not sign_in.is_form_token(self.gate.client, self.session, token):
            raise ForeignForm(
                403,
                "foreign_form",
                "This form is of another session",
                "You signed in anew since the page was loaded, or another site sent this. Load the page again.",
            )
        return given

    def to(self, path: str) -> Response:
        """Go on to a path of the console."""
        return RedirectResponse(self.base + path, 303)


def base_of(request: Request) -> str:
    return f"{request.scope.get('root_path', '')}/console"


Handler = Callable[[Visit], Coroutine[Any, Any, Response]]


def visited(handle: Handler) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """A handler that is given the visit, and whose errors become pages; who has no session is asked to sign in."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(Visit.of(request))
        except Unauthenticated as error:
            base = base_of(request)
            if _may_be_sent_again(request):
                return again(base, _path_of(request), request.state.filled, token=None)
            if request.method != "GET" or request.url.path.endswith("/live"):
                return failed(request, error)
            there = _path_of(request)
            there += f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"{base}/sign-in?next={quote(there, safe='')}", 303)
        except ForeignForm as error:
            if not _may_be_sent_again(request):
                return failed(request, error)
            visit = Visit.of(request)
            token = None if visit.session is None else visit.form_token()
            return again(base_of(request), _path_of(request), request.state.filled, token=token)
        except KNOWN as error:
            return failed(request, error)

    return answer


def _path_of(request: Request) -> str:
    """The path below that of the console."""
    return request.url.path.removeprefix(request.scope.get("root_path", "")).removeprefix("/console")


def _may_be_sent_again(request: Request) -> bool:
    """Whether a form of one of our pages was sent, which can be sent once more by who has signed in."""
    return request.method == "POST" and hasattr(request.state, "filled") and is_own(request) is True


def failed(request: Request, error: AgentTaskError | Refused | Transient) -> Response:
    """The page that tells of an error."""
    problem = problems.of_unauthenticated(error) if isinstance(error, Unauthenticated) else problems.of(error)
    problem.count()
    values = {**bare_frame(base_of(request), "problem"), "problem": problem.document}
    return shown("problem", values, problem.status_code, dict(problem.headers))


def admitted_of(visit: Visit) -> Admitted:
    """What the stages have found out of this visit's request."""
    admitted = visit.request.state.admission.admitted
    assert admitted is not None
    return admitted

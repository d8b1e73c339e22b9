"""/hooks/{token}: an answer from outside, by a program or by a person, to whom its URL is the right to give it."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from agent_tasks.client import hooks
from agent_tasks.client.hooks import HookInfo
from agent_tasks.client.signals import Receipt
from agent_tasks.errors import AgentTaskError, HookClosed, InvalidInput, PayloadTooLarge
from agent_tasks.gateway import hook_page, problems
from agent_tasks.gateway.arrival import Admitted, Arrival, ShownHook
from agent_tasks.gateway.door import Admission, admission_of, gate_of
from agent_tasks.gateway.examples import hooks as examples
from agent_tasks.gateway.form import FORM, fields_of
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.hook_form import HookForm
from agent_tasks.gateway.idempotency import key_of
from agent_tasks.gateway.operations import OPERATIONS, SHOW_HOOK, Operation
from agent_tasks.gateway.reading import parse
from agent_tasks.gateway.receiving import check_media_type, read_body
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.signed import check_signature
from agent_tasks.gateway.stages import admit_hook
from agent_tasks.gateway.stages.submit import submit
from agent_tasks.gateway.traceparent import traceparent_of
from agent_tasks.store.errors import Transient
from agent_tasks.task.hook_secrets import hook_secrets
from agent_tasks.task.hook_token import HookToken

router = APIRouter()
_KEY = "Idempotency-Key"
_KNOWN = (AgentTaskError, Refused, Transient)


class HookReceipt(BaseModel):
    """What became of an answer. Whoever has the URL is told no more of the task."""

    kept: bool
    """True: the answer was taken, now or when it was first sent."""
    delivered: bool
    """True: the task was waiting for it and goes on. False: it is kept until the task waits for it."""

    @classmethod
    def of(cls, receipt: Receipt) -> JSONResponse:
        """The answer of this door."""
        return JSONResponse(cls(kept=receipt.kept, delivered=receipt.delivered).model_dump())


Token = Annotated[str, Path(description="What `ctx.hook` has signed.")]


@router.head("/hooks/{token}", name="head_hook", include_in_schema=False)
@router.get(
    "/hooks/{token}", name="show_hook", response_model=HookInfo, responses=examples.show_hook, summary="What is asked"
)
async def show_hook(request: Request, token: Token) -> Response:
    """What a hook asks for: a page with a form, or JSON by `Accept`. Looking at it changes nothing."""
    accepted = request.headers.get("accept", "").lower()
    wants_page = "text/html" in accepted or "json" not in accepted
    try:
        admitted = await _admitted(request, token, SHOW_HOOK)
        info = await gate_of(request).in_thread(lambda gate: hooks.show_hook(gate.client, _shown(admitted).token))
    except _KNOWN as error:
        if not wants_page:
            raise
        return _with_limits(request, hook_page.refused(problems.of(error)))
    if not wants_page:
        head = {"Cache-Control": "no-store", "Vary": "Accept"}
        return _with_limits(request, JSONResponse(info.model_dump(mode="json"), headers=head))
    return _with_limits(request, hook_page.asking(info, _form_of(info)))


@router.post(
    "/hooks/{token}", name="answer_hook", response_model=HookReceipt, responses=examples.answer_hook,
    summary="Answer it", openapi_extra=examples.HOOK_BODY,
)  # fmt: skip
async def answer_hook(request: Request, token: Token) -> Response:
    """Send the signal that the hook was made for, with the body as its payload: JSON, or the form of its page.

    The same `webhook-id` or `Idempotency-Key` again gets the first answer.
    """
    wants_page = "text/html" in request.headers.get("accept", "").lower()
    try:
        admitted = await _admitted(request, token, OPERATIONS["signal"])
        settings = gate_of(request).settings
        body = await read_body(request, settings.gateway_body_limit, settings.gateway_body_seconds)
        if _is_form(request) and _shown(admitted).token.verify is None:
            return _with_limits(request, await _answered_by_form(request, admitted, body, wants_page=wants_page))
        receipt = await _answered(request, admitted, body)
    except _KNOWN as error:
        if not wants_page:
            raise
        return _with_limits(request, hook_page.refused(problems.of(error), is_unsure=isinstance(error, Transient)))
    return _with_limits(request, HookReceipt.of(receipt))


async def _admitted(request: Request, token: str, operation: Operation) -> Admitted:
    origin = request.client.host if request.client else "unknown"
    request.state.admission = Admission(
        Arrival("hook", origin, token, operation, traceparent=traceparent_of(request)), admit_hook
    )
    return await gate_of(request).in_thread(request.state.admission.admit)


def _shown(admitted: Admitted) -> ShownHook:
    shown = admitted.caller.hook
    assert shown is not None, "this door admits nobody without a hook"
    return shown


def _with_limits(request: Request, response: Response) -> Response:
    admitted = admission_of(request).admitted
    response.headers.update(admitted.headers if admitted else {})
    return response


# --- programs -------------------------------------------------------------------------------------------------


async def _answered(request: Request, admitted: Admitted, body: bytes) -> Receipt:
    """Send a JSON body, or none. Raises Refused, and what the client raises."""
    shown = _shown(admitted)
    if shown.token.verify is None:
        ids = request.headers.getlist("webhook-id")
        key = key_of(request.headers.get(_KEY) or (ids[0] if ids else None))
    else:
        known = hook_secrets(gate_of(request).settings.hook_secrets).get(shown.token.verify, [])
        key = key_of(check_signature(request, body, known, shown.at))
    if body or "content-type" in request.headers:
        check_media_type(request)
    payload = parse(body) if body else None

    def send(gate: Gate) -> Receipt:
        return submit(gate, admitted, lambda _: hooks.answer_hook(gate.client, shown.token, payload, key=key))

    return await gate_of(request).in_thread(send)


# --- people ---------------------------------------------------------------------------------------------------


class WrongForm(InvalidInput):
    """What was filled in is not accepted: the page shows it again as it was sent."""

    def __init__(
        self, message: str, page: tuple[HookInfo, HookForm | None] | None = None, errors: dict[str, str] | None = None
    ) -> None:
        self.page = page
        self.errors = errors or {}
        """What is wrong with each field; empty: the message is of all of it."""
        super().__init__(message, field=next(iter(self.errors), None), fields=self.errors)


async def _answered_by_form(request: Request, admitted: Admitted, body: bytes, *, wants_page: bool) -> Response:
    """Send what was filled in. Raises Refused, HookClosed, and WrongForm where the answer is to be no page."""
    given, shown = _fields_of(body), _shown(admitted)

    def send(gate: Gate) -> Receipt:
        return submit(gate, admitted, lambda _: _send(gate, shown.token, given))

    try:
        receipt = await gate_of(request).in_thread(send)
    except WrongForm as wrong:
        if not wants_page or wrong.page is None:
            raise
        problem = "Nothing was sent yet. Please look at what is marked." if wrong.errors else wrong.message
        return hook_page.asking(*wrong.page, given=given, errors=wrong.errors, problem=problem, status=422)
    return hook_page.done(shown.agent, receipt) if wants_page else HookReceipt.of(receipt)


def _send(gate: Gate, token: HookToken, given: dict[str, str]) -> Receipt:
    """Send what was filled in once, however often the form is sent. Raises WrongForm, HookClosed."""
    key = key_of(given.get("key"))
    if key is not None and (first := hooks.first_answer(gate.client, token, key)) is not None:
        return first
    info = hooks.show_hook(gate.client, token)
    form = _form_of(info)
    if form is None:
        raise WrongForm("The agent is not ready for an answer. Send it again in a moment.", (info, None))
    filled = form.read(given)
    if filled.errors:
        raise WrongForm("Some of the form is not filled in as it must be.", (info, form), filled.errors)
    try:
        return hooks.answer_hook(gate.client, token, filled.payload, key=key)
    except HookClosed:
        raise
    except (InvalidInput, PayloadTooLarge) as error:
        name = form.name_of(error.details.get("field", ""))
        errors = {name: str(error.details["problem"])} if name and "problem" in error.details else {}
        raise WrongForm(error.message, (info, form), errors) from error


def _form_of(info: HookInfo) -> HookForm | None:
    """The form for an answer; None where nobody knows what it must be, since the task does not wait for it now."""
    return HookForm.of(info.payload_schema) if info.waiting else None


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _fields_of(body: bytes) -> dict[str, str]:
    """The fields of a form, by name. Raises Refused for what is none of the page's."""
    fields = fields_of(body)
    if not any(name == "key" or name.partition(".")[0] == "answer" for name in fields):
        raise Refused(
            415,
            "unsupported_media_type",
            "The body is of another kind",
            f"This is not the form of the page. A program sends JSON, as application/json and not as {FORM}.",
            "content-type",
            {"Accept": "application/json"},
        )
    return fields

"""/console/sign-in: an API key is exchanged for a session, which lies in a cookie that no script reads."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from agent_tasks.client import sign_in
from agent_tasks.gateway.console.again import again, is_own, kept
from agent_tasks.gateway.console.answer import bare_frame, shown
from agent_tasks.gateway.console.visit import COOKIE, Visit, base_of, visited
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.form import fields_of
from agent_tasks.gateway.receiving import read_body
from agent_tasks.gateway.refusals import Refused

_LONGEST_KEY = 512


def add_to(router: APIRouter) -> None:
    """Add the routes of signing in and out."""
    router.add_api_route("/sign-in", visited(_ask), methods=["GET"], name="console_sign_in")
    router.add_api_route("/sign-in", visited(_sign_in), methods=["POST"], name="console_signed_in")
    router.add_api_route("/sign-out", visited(_sign_out), methods=["POST"], name="console_sign_out")


async def _ask(visit: Visit) -> Response:
    if visit.gate.settings.gateway_auth == "off":
        return visit.to("")
    return _form(visit, _safe((visit.query.get("next") or [""])[0]))


async def _sign_in(visit: Visit) -> Response:
    """Begin a session. A form of another site cannot: it would sign somebody in as another."""
    _check_own(visit.request)
    settings = visit.gate.settings
    given = fields_of(await read_body(visit.request, settings.gateway_body_limit, settings.gateway_body_seconds))
    there = _safe(given.get("next", ""))
    try:
        session, _ = await visit.gate.in_thread(
            lambda gate: sign_in.begin(gate.client, given.get("key", "").strip()[:_LONGEST_KEY])
        )
    except Unauthenticated as error:
        return _form(visit, there, problem=error.message, status=401)
    filled = kept(given["kept"]) if "kept" in given and is_own(visit.request) else None
    if filled is not None and _safe(filled[0]):
        token = sign_in.form_token(visit.gate.client, session)
        answer = again(visit.base, filled[0], filled[1], token=token)
    else:
        answer = visit.to(there)
    answer.set_cookie(COOKIE, session, **_cookie(visit.request), max_age=sign_in.LASTS_SECONDS)
    return answer


async def _sign_out(visit: Visit) -> Response:
    await visit.form()
    if visit.session is not None:
        session = visit.session
        await visit.gate.in_thread(lambda gate: sign_in.end(gate.client, session))
    answer = RedirectResponse(f"{visit.base}/sign-in", 303)
    answer.delete_cookie(COOKIE, **_cookie(visit.request))
    return answer


def _form(visit: Visit, there: str, *, problem: str = "", status: int = 200) -> Response:
    values = {**bare_frame(visit.base, "sign_in"), "there": there, "problem": problem}
    return shown("sign_in", values, status)


def _cookie(request: Request) -> dict[str, Any]:
    """Only to the console, over what it came by, and with no request that another site makes."""
    public = str(request.app.state.settings.public_url)
    is_secure = request.url.scheme == "https" or public.startswith("https:")
    return {"path": base_of(request), "httponly": True, "secure": is_secure, "samesite": "lax"}


def _check_own(request: Request) -> None:
    if is_own(request) is False:
        raise Refused(403, "foreign_form", "This form is of another site", "Sign in on the console's own page.")


def _safe(there: str) -> str:
    """A path of the console, whatever was given."""
    is_path = there.startswith("/") and not there.startswith("//") and "\\" not in there and there.isprintable()
    return there if is_path and "/.." not in there and there != "/" else ""

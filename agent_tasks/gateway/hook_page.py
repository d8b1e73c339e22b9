"""The page of a hook: what is asked of a person, a form, and what became of the answer."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from agent_tasks.client.hooks import HookInfo
from agent_tasks.client.signals import Receipt
from agent_tasks.gateway.hook_form import HookForm, heading_of
from agent_tasks.gateway.problems import Answer

_templates = Environment(
    loader=PackageLoader("agent_tasks.gateway"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = _templates.get_template("hook.css").render()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEAD = {
    # nothing is loaded and nothing runs; the form goes back to where it came from, and no other site frames it
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address is the right to answer
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Vary": "Accept",
}


_CLOSED = {
    "used": "This was answered already",
    "expired": "This link has expired",
    "forked": "This link leads to several tasks",
}
_NOT_NEEDED = "No answer is needed any more"


def _when(time: datetime) -> str:
    return f"{time.astimezone(UTC):%-d %B %Y, %H:%M} UTC"


_templates.filters["when"] = _when


def asking(
    info: HookInfo,
    form: HookForm | None,
    *,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """What is asked, with a form: empty, or as it was `given`, with what is wrong with each field, or with all of it.

    No form: nothing can be filled in now.
    """
    key = (given or {}).get("key") or secrets.token_urlsafe(16)
    initial = {field.name: field.initial for field in form.fields} if form else {}
    values = initial if given is None else {name: given.get(name, "") for name in initial}
    return _page(
        "hook.html", status, headers,
        info=info, heading=heading_of(info.signal), form=form, values=values, errors=errors or {}, problem=problem,
        key=key,
    )  # fmt: skip


def done(agent: str, receipt: Receipt) -> Response:
    """What became of an answer."""
    return _page("hook_done.html", 200, None, agent=agent, receipt=receipt)


def refused(problem: Answer, *, is_unsure: bool = False) -> Response:
    """A problem document as a page. `is_unsure`: what was sent may have arrived."""
    document = json.loads(bytes(problem.body))
    title = document["title"]
    if problem.status_code == 404:
        title = "This link does not work"
    elif problem.status_code == 410:
        title = _CLOSED.get(document["error"]["details"]["why"], _NOT_NEEDED)
    head = {name: problem.headers[name] for name in ("retry-after", "connection") if name in problem.headers}
    problem.count()
    return _page(
        "hook_refused.html", problem.status_code, head, title=title, detail=document["detail"], is_unsure=is_unsure
    )


def _page(template: str, status: int, headers: Mapping[str, str] | None, **values: Any) -> Response:
    text = _templates.get_template(template).render(style=_STYLE, **values)
    return Response(text, status, {**_HEAD, **(headers or {})}, "text/html")

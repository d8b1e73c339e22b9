"""Answers with a page of the console, under a policy by which nothing runs but what we serve."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from agent_tasks.gateway.console.templates import render

HEAD = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_KEPT = ("retry-after", "connection")


def bare_frame(base: str, page: str) -> dict[str, Any]:
    """What is around a page that nobody in particular looks at."""
    return {
        "base": base,
        "here": "",
        "page": page,
        "visitor": None,
        "form_token": "",
        "live_url": "",
        "flower_url": None,
        "said": "",
        "problem": None,
    }


def shown(
    template: str, values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A page. Of `headers`, those that say when to come again are kept."""
    kept = {name: value for name, value in (headers or {}).items() if name.lower() in _KEPT}
    return Response(render(template, values), status, {**HEAD, **kept}, "text/html")

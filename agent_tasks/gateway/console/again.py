"""Again: a form that was sent after its session had ended is kept, and is sent once more by who has signed in."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response

from agent_tasks.gateway.console.answer import bare_frame, shown


def is_own(request: Request) -> bool | None:
    """Whether a page of this gateway has sent the request; None where the browser does not say."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return None
    public = urlsplit(str(request.app.state.settings.public_url)).netloc
    return urlsplit(origin).netloc in (request.headers.get("host"), public)


def again(base: str, path: str, fields: Mapping[str, str], *, token: str | None) -> Response:
    """Return the page that has the form; it first asks to sign in where `token`, that of the session, is None."""
    values: Mapping[str, Any] = {
        **bare_frame(base, "again"),
        "form_token": token or "",
        "path": path,
        "fields": {name: value for name, value in fields.items() if name != "once"},
        "hidden": fields,
        "kept": json.dumps({"path": path, "fields": dict(fields)}) if token is None else "",
    }
    return shown("again", values, 401 if token is None else 200)


def kept(text: str) -> tuple[str, dict[str, str]] | None:
    """Return the path and the fields of a form that was kept; None for what is none."""
    try:
        found: Any = json.loads(text)
        path, fields = found["path"], found["fields"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(path, str) or not isinstance(fields, dict):
        return None
    return path, {str(name): str(value) for name, value in fields.items()}  # pyright: ignore

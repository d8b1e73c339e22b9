"""The header traceparent (W3C Trace Context), which is ignored where it is wrong."""

import re

from fastapi import Request

from agent_tasks.errors import InvalidInput
from agent_tasks.task.trace import check_traceparent, span_traceparent

_LATER = re.compile(r"(?!ff|00)[0-9a-f]{2}(-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(?:-.*)?")
"""Of a version to come: what is after the flags is not known, and the rest is as now (section 4.2)."""


def traceparent_of(request: Request) -> str | None:
    """The span that a request is a part of: of a middleware that traces the gateway, else the caller's.

    None where it names none, or none that can be one: a trace begins anew. Called on the event loop.
    """
    if (own := span_traceparent()) is not None:
        return own
    given = request.headers.getlist("traceparent")
    if len(given) != 1:
        return None
    text = given[0].strip()
    if later := _LATER.fullmatch(text):
        text = f"00{later[1]}"
    try:
        return check_traceparent(text)
    except InvalidInput:
        return None  # "the vendor creates a new trace": section 3.3.1, not an error of the request

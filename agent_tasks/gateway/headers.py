"""The headers of answers, for the OpenAPI document."""

from typing import Any

_TEXT, _SECONDS = {"type": "string"}, {"type": "integer", "minimum": 0}
_ALL: dict[str, tuple[str, dict[str, Any], Any]] = {
    "Location": ("Where the task is found.", _TEXT, "/tasks/0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"),
    "ETag": ("The version of the task, for `If-None-Match`.", {"type": "string", "pattern": '^"[0-9]+"$'}, '"4"'),
    "Cache-Control": ("A cache asks again each time.", _TEXT, "no-cache"),
    "Vary": ("The answer is a stream or a page, by this header of the request.", _TEXT, "Accept"),
    "Retry-After": ("Seconds after which it is worth to ask again; none where the task has ended.", _SECONDS, 1),
    "Preference-Applied": ("The preference of the request that was followed.", _TEXT, "wait=10"),
    "WWW-Authenticate": ("What is wrong with the token.", _TEXT, "Bearer"),
    "RateLimit": ("What the tenant has left: r requests, and all of them again in t seconds.", _TEXT,
                  '"default";r=999;t=1'),
    "RateLimit-Policy": ("What the tenant may do: q requests in w seconds.", _TEXT, '"default";q=1000;w=1'),
    "Accept": ("What the body must be.", _TEXT, "application/json"),
    "Accept-Encoding": ("The encoding that the body must have.", _TEXT, "identity"),
}  # fmt: skip
_LIMITS = ("RateLimit", "RateLimit-Policy")
_OPTIONAL = {"Retry-After", "Preference-Applied", *_LIMITS, "Accept", "Accept-Encoding"}
_OF_PROBLEMS: dict[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After", *_LIMITS),
    415: ("Accept", "Accept-Encoding", *_LIMITS),
    429: ("Retry-After", *_LIMITS),
    500: (),
    503: ("Retry-After", *_LIMITS),
}


def of_answer(*names: str) -> dict[str, Any]:
    """Those of an answer that went well."""
    return {name: _described(name) for name in (*names, *_LIMITS)}


def of_problem(status: int) -> dict[str, Any]:
    """Those of a problem document."""
    return {name: _described(name) for name in _OF_PROBLEMS.get(status, _LIMITS)}


def _described(name: str) -> dict[str, Any]:
    what, schema, example = _ALL[name]
    return {"description": what, "required": name not in _OPTIONAL, "schema": schema, "example": example}

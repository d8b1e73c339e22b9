"""The scopes that the gateway asks for. Agents may ask for others, which are free text."""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum


class Scope(StrEnum):
    """The scopes of the gateway: each is a right of its callers."""

    WRITE = "tasks:write"
    """Submit, resume and acknowledge tasks, and change schedules."""
    READ = "tasks:read"
    SIGNAL = "tasks:signal"
    CANCEL = "tasks:cancel"
    ALL = "tasks:all"
    """The tasks of the whole tenant, not only the subject's own."""
    PAYLOADS = "payloads:read"
    """In the console, what tasks of sensitive agents were given and have recorded; each look is audited."""
    MCP = "admin:mcp"
    """Over MCP, the tools by which a coding agent looks after tasks."""
    ADMIN = "admin"
    """All of it but `payloads:read`, in every tenant."""


def misspelt(scopes: Iterable[str]) -> list[tuple[str, str]]:
    """Return the scopes that look like one of the gateway's but are not, each with the nearest real one."""
    found: list[tuple[str, str]] = []
    for scope in scopes:
        if scope not in tuple(Scope) and (near := get_close_matches(scope.lower(), [*Scope], 1, 0.8)):
            found.append((scope, near[0]))
        elif scope.lower().startswith("tasks:") and scope not in tuple(Scope):
            found.append((scope, ""))
    return found

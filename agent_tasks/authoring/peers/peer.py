"""A program elsewhere: its address, and what is said to it with each request."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Self, cast
from urllib.parse import urlsplit

from agent_tasks.authoring.durations import seconds_of
from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import refused
from agent_tasks.task.identity import Identity

Headers = Mapping[str, str]
HeadersOf = Callable[[Identity | None], "Headers | Awaitable[Headers]"]
"""Returns the headers of a request, given for whom the task runs; called in the worker, for each request anew."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
"""A header's name and value, as RFC 9110, 5.5 has them, of ASCII alone."""
_ANSWER_BYTES = 8 * 1024 * 1024
_SECONDS = 60.0


class Peer:
    """A program at an address. Declared when a module is imported, it is known in every worker that loads the module.

    `url` begins with http:// or https://, and holds no credentials, since it is recorded. `headers` are sent with each
    request, and recorded and logged nowhere: a mapping, or a plain or async function of the task's identity.
    `timeout`: how long one request may take, in seconds or a timedelta. `answer_bytes`: the most that an answer may
    have. Redirects are not followed. Raises InvalidInput for values that mean nothing.
    """

    _declared: ClassVar[dict[tuple[type["Peer"], str], "Peer"]] = {}

    def __init__(
        self,
        url: str,
        *,
        headers: Headers | HeadersOf | None = None,
        timeout: Any = _SECONDS,
        answer_bytes: int = _ANSWER_BYTES,
        _declares: bool = True,
    ) -> None:
        self.url = checked_url(url, type(self).__name__)
        given: Any = headers
        if not (given is None or callable(given) or _are_headers(given)):
            what = "headers= takes a mapping of text to text, or a function that returns one"
            raise InvalidInput(f"{what}, not {type(given).__name__}", field="headers")
        self._headers = headers
        self.timeout = seconds_of(timeout, "timeout")
        if not self.timeout:
            raise InvalidInput("timeout must be above zero: seconds, or a timedelta", field="timeout")
        size: Any = answer_bytes
        if type(size) is not int or size < 1024:
            raise refused("answer_bytes must be a whole number from 1024", size, "answer_bytes")
        self.answer_bytes = size
        if _declares:
            Peer._declared[type(self), self.url] = self

    @classmethod
    def at(cls, url: str, *, declared: bool = False) -> Self:
        """Return the peer that this process has declared at an address, or one without headers.

        Raises InvalidInput where it was `declared` in another worker, and is not in this one.
        """
        found = Peer._declared.get((cls, url))
        if found is not None:
            return cast(Self, found)
        if declared:
            raise InvalidInput(
                f"This worker knows no headers for {url}: declare {cls.__name__}({url!r}, headers=…) where a module of "
                "AGENT_TASKS_AGENTS is imported, and not in a step, so that every worker has it",
                field="url",
            )
        return cls(url, _declares=False)

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return the peer that an author names, as itself or by its address. Raises InvalidInput for anything else."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            return cls.at(given)
        raise InvalidInput(f"It takes a URL or a {cls.__name__}, not {type(given).__name__}", field="url")

    @property
    def has_headers(self) -> bool:
        """Whether requests to it carry headers of the author's."""
        return self._headers is not None

    async def headers_for(self, identity: Identity | None) -> dict[str, str]:
        """Return the headers of a request. Raises what the function raises, InvalidInput for what it returns."""
        if self._headers is None:
            return {}
        found: Any = self._headers(identity) if callable(self._headers) else self._headers
        if inspect.isawaitable(found):
            found = await found
        if not _are_headers(found):
            raise InvalidInput(f"The headers of {self.url} are no mapping of text to text", field="headers")
        for name, value in found.items():
            if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
                raise InvalidInput(
                    f"The header {name[:100]!r} of {self.url} cannot be sent: its value is to be of visible ASCII, "
                    "spaces and tabs, with neither at its ends (of what a file holds, take .strip())",
                    field="headers",
                )
        return dict(found)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


def checked_url(url: Any, what: str) -> str:
    """Return an address if a request can be sent there. Raises InvalidInput."""
    if not isinstance(url, str):
        raise InvalidInput(f"{what} takes a URL, not {type(url).__name__}", field="url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{what} takes a URL, and this one cannot be read: {error}", field="url") from None
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(f"{what} takes a URL without credentials, since it is recorded: use headers=", field="url")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not url.isprintable():
        raise InvalidInput(f"{what} takes a URL of http or https, with a host", field="url")
    if parts.fragment:
        raise InvalidInput(f"{what} takes a URL without a fragment", field="url")
    return url


def _are_headers(given: Any) -> bool:
    return isinstance(given, Mapping) and all(
        isinstance(part, str) for item in cast("Mapping[Any, Any]", given).items() for part in item
    )

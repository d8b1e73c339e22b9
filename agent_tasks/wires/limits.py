"""What is taken of an answer: no redirect, no more bytes than allowed, and each status as an error of ours."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from agent_tasks.errors import (
    AgentTaskError,
    InvalidInput,
    PayloadTooLarge,
    PermissionDenied,
    StepFailed,
    UpstreamUnavailable,
)

PLAIN = {"Accept-Encoding": "identity"}
"""Asks for an answer as it is: a few bytes can be inflated to very many, and bytes are what is counted."""
_AWAY = (408, 425, 429)


def error_of(url: str, status: int, headers: Mapping[str, str]) -> AgentTaskError | None:
    """Return the error that a status is; None for an answer of the protocol, which may be an error of its own."""
    if 300 <= status < 400:
        return InvalidInput(
            f"{url} answers with a redirect (HTTP {status}), and redirects are not followed: name the address itself",
            field="url",
            status=status,
        )
    if status in (401, 403):
        return PermissionDenied(
            f"{url} refuses who asks (HTTP {status}): see to the headers= with which it is called", status=status
        )
    if status in _AWAY or status >= 500:
        return UpstreamUnavailable(
            f"{url} does not answer now (HTTP {status})", retry_after=headers.get("retry-after"), status=status
        )
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return StepFailed(f"{url} answers compressed, and was asked not to", status=status)
    return None


class _Bytes(Protocol):
    """An answer that comes in parts."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Counted:
    """An answer, of which no more is read than is allowed."""

    def __init__(self, inner: _Bytes, url: str, limit: int) -> None:
        self._inner = inner
        self._url = url
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield its parts. Raises PayloadTooLarge as soon as they are more than `limit` bytes."""
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > self._limit:
                raise PayloadTooLarge(
                    f"The answer of {self._url} has more than {self._limit:,} bytes, the answer_bytes= of what is "
                    "declared for it",
                    payload="answer",
                    limit=self._limit,
                )
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()

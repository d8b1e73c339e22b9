"""A request that the gateway refuses before any operation of the client's: what is wrong with it, and what to do."""

from collections.abc import Mapping


class Refused(Exception):
    """A request as it is cannot be served; problems.py makes a problem document of it.

    `type` is one word for programs, `title` the same for all refusals of that type, `detail` says what is wrong with
    this request and what to do. `field` is the place in the body, or the header, that is meant.
    """

    def __init__(
        self,
        status: int,
        type: str,
        title: str,
        detail: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})

"""Statements with named parameters, whose text is read once: psycopg reads a long one again at each execution."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg.abc import Params
from psycopg.rows import DictRow

_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)([sb])|(s)|(%))")
_STATEMENTS = 1_024
"""Texts that are kept; what the program puts together, as searches are, is of some hundred forms."""


class NumberedCursor(psycopg.RawCursor[DictRow]):
    """A cursor that takes `%s`, `%(name)s` and `%(ids)b`, an array of UUIDs, and gives Postgres their numbers.

    Statements with parameters are text: no bytes, nothing composed by `psycopg.sql`, and no `executemany`.
    """

    def execute(
        self, query: Any, params: "Params | None" = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        if params is not None and isinstance(query, str):
            query, params = numbered(query, params)
        return super().execute(query, params, prepare=prepare, binary=binary)


def numbered(query: str, params: "Params") -> tuple[Any, Sequence[Any]]:
    """Return the text of a statement as Postgres takes it, and the values of `$1`, `$2`, … in their order."""
    text, places = _places(query)
    if not isinstance(params, Mapping):
        return text, params
    return text, [_uuids(params[name]) if is_array else params[name] for name, is_array in places]


@lru_cache(maxsize=_STATEMENTS)
def _places(query: str) -> tuple[bytes, tuple[tuple[str, bool], ...]]:
    """Return the text with `$1`, `$2`, …, and the name of each in this order, and whether it is an array of UUIDs."""
    places: dict[tuple[str, bool], int] = {}

    def number(found: "re.Match[str]") -> str:
        if found[4]:
            return "%"
        place = (found[1] or str(len(places)), found[2] == "b")
        return f"${places.setdefault(place, len(places) + 1)}"

    return _PLACEHOLDER.sub(number, query).encode(), tuple(places)


def _uuids(ids: Sequence[UUID]) -> str:
    """Return an array as Postgres reads it; psycopg takes eight times as long, looking for what is to be quoted."""
    return f"{{{','.join([id.hex for id in ids])}}}"

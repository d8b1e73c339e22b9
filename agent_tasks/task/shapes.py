"""Shapes: the types of stored values, which are written only where they provably come back from JSON."""

import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent_tasks.errors import AgentTaskError, InvalidInput
from agent_tasks.task import payloads
from agent_tasks.task.differences import Difference, difference, is_same

_READS_NAMES = "by_name" in inspect.signature(TypeAdapter[Any].validate_json).parameters
_BY_BOTH: dict[str, Any] = {"by_alias": True, "by_name": True} if _READS_NAMES else {}
"""Options that find fields by alias or name; before 2.11 pydantic follows the model's own setting alone."""
_JSON_TYPES = frozenset({
    "any", "bool", "dict", "float", "int", "list", "none", "nullable", "str", "typed-dict", "typed-dict-field", "union",
})  # fmt: skip
_FURTHER = frozenset({"strict", "validation_alias", "serialization_alias", "serialization", "serialization_exclude"})
_SCALARS = frozenset({str, int, float, bool, type(None)})
_ITEMS = frozenset({"items_schema"})
_OMITTED = {"dict": {"keys_schema", "values_schema"}, "list": _ITEMS, "set": _ITEMS, "frozenset": _ITEMS}
"""The parts that pydantic before 2.9 leaves out of a schema where they may be of any type."""


def _forms(*, names_first: bool) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"by_alias": by_alias, "round_trip": round_trip, **more}
        for more in ({}, {"serialize_as_any": True})
        for by_alias in (not names_first, names_first)
        for round_trip in (False, True)
    )


_ALIASES_FIRST, _NAMES_FIRST = _forms(names_first=False), _forms(names_first=True)
"""The ways pydantic can write a value: as usual, without computed fields, by the fields' other names, in full."""


class Shape:
    """The type that an annotation gives to a stored value.

    `read` gives back what `write` has written: the same value, of the same types, for as long as the annotation stays.
    A value annotated with `Any`, or not at all, is plain JSON.
    """

    def __init__(self, hint: Any, parts: Mapping[str, Any] | None = None) -> None:
        """Build the shape of `hint`; `parts` are the types of its items where it is a TypedDict."""
        self.adapter: TypeAdapter[Any] = TypeAdapter(hint)
        self._hint = hint
        self._parts = parts

    def read(self, value: Any) -> Any:
        """Return the value of JSON that Postgres gave back or a caller sent. Raises ValidationError."""
        if self._is_plain_json:
            return self.adapter.validate_python(value)
        return self.adapter.validate_json(json.dumps(value), **_BY_BOTH)

    def write(
        self, value: Any, what: str, *, limit: int = payloads.DEFAULT_LIMIT, error: type[AgentTaskError] = InvalidInput
    ) -> tuple[str, Any]:
        """Return `value` as JSON text, and as it will be read.

        `what` names it in errors. Raises ValidationError for a value that does not fit, PayloadTooLarge, and `error`,
        which names the field, for a value that would not come back.
        """
        accepted = self._accept(value)
        if type(accepted) is dict and self._is_plain_json and _SCALARS.issuperset(map(type, accepted.values())):
            return payloads.encode(accepted, what, limit=limit, error=error), accepted
        first: AgentTaskError | None = None
        for form in _NAMES_FIRST if self._is_untyped else _ALIASES_FIRST:
            text = payloads.encode(self._dumped(accepted, form, what, error), what, limit=limit, error=error)
            try:
                read = self.read(payloads.stored(text))
            except ValidationError as problem:
                lost = _misread(problem, what)
            else:
                lost = self._lost(accepted, read, what)
                if lost is None:
                    return text, read
            first = first or error(f"The {what} would not come back as it is: {lost[0]} {lost[1]}.", field=lost[0])
        assert first is not None
        raise first

    def _accept(self, value: Any) -> Any:
        """Return `value` validated as a Python value or, where only that fits (a date as text, strictly), as JSON."""
        try:
            return self.adapter.validate_python(value, **({} if self._is_plain_json else _BY_BOTH))
        except ValidationError:
            if self._is_plain_json:
                raise
            try:
                text = json.dumps(value)
            except (TypeError, ValueError, RecursionError):
                text = None
            if text is None:
                raise
        return self.adapter.validate_json(text, **_BY_BOTH)

    def _dumped(self, accepted: Any, form: dict[str, Any], what: str, error: type[AgentTaskError]) -> Any:
        try:
            return self.adapter.dump_python(accepted, mode="json", warnings=False, **form)
        except (ValueError, TypeError, RecursionError) as problem:
            payloads.encode(accepted, what, error=error)  # raises an error that names the field
            if form.get("serialize_as_any"):
                return accepted  # before 2.12 pydantic takes a model below `Any` for one that contains itself
            raise error(f"The {what} cannot be stored as JSON: {problem}", field=what) from None

    def _lost(self, accepted: Any, read: Any, what: str) -> Difference | None:
        if is_same(accepted, read):
            return None
        if self._parts is None:
            return difference(accepted, read, what, untyped=self._is_untyped)
        for name, value in accepted.items():
            if name not in read:
                return f"{what}.{name}", "is lost"
            if lost := difference(value, read[name], f"{what}.{name}", untyped=self._is_untyped_part(name)):
                return lost
        return None

    @cached_property
    def _is_plain_json(self) -> bool:
        """Whether a value is validated the same as Python and as JSON, and no name has an alias."""
        return all(
            part["type"] in _JSON_TYPES
            and not _FURTHER & part.keys()
            and part.get("config", {}).keys() <= {"title", "extra_fields_behavior"}
            for part in _schemas(self.adapter.core_schema)
        )

    @cached_property
    def has_made_defaults(self) -> bool:
        """Whether a default is made anew each time, so that reading the same JSON twice may give two values."""
        return any("default_factory" in part for part in _schemas(self.adapter.core_schema))

    @cached_property
    def _is_untyped(self) -> bool:
        return _knows_no_type(self.adapter)

    def _is_untyped_part(self, name: str) -> bool:
        hint = (self._parts or {}).get(name, Any)
        return hint is Any or (self._is_untyped and _knows_no_type(TypeAdapter(hint)))


def _knows_no_type(adapter: TypeAdapter[Any]) -> bool:
    """Whether the type leaves open what some part of a value is."""
    return any(
        part["type"] == "any"
        or not part.keys() >= _OMITTED.get(part["type"], set[str]())
        or (part["type"] == "json" and "schema" not in part)
        or "allow" in (part.get("extra_behavior"), part.get("config", {}).get("extra_fields_behavior"))
        for part in _schemas(adapter.core_schema)
    )


def _schemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all parts of a pydantic core schema that have a type."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema
        for name, part in schema.items():
            if name != "metadata":
                yield from _schemas(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from _schemas(part)


def _misread(problem: ValidationError, what: str) -> Difference:
    first = problem.errors(include_url=False)[0]
    return (
        ".".join([what, *map(str, first["loc"])]),
        f"is not read back from the JSON that pydantic writes ({first['msg']}): give it a type that reads its own JSON",
    )

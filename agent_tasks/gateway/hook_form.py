"""A form for a person, made of the JSON schema of what a hook asks for, and what was filled in as JSON."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, cast

from agent_tasks.gateway.reading import MOST_DIGITS, parse
from agent_tasks.gateway.refusals import Refused
from agent_tasks.task.arguments import is_storable

_ANSWER = "answer"
_WHOLE = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")
_FEW = 5
"""Choices that stand side by side; more are in a list."""
_LINE = 120
"""Characters that go into one line."""
_TEMPORAL: dict[str, tuple[str, Callable[[str], object], str]] = {
    "date": ("date", date.fromisoformat, "Give a date, as 2026-11-29."),
    "time": ("time", time.fromisoformat, "Give a time, as 14:30."),
    "date-time": ("datetime-local", datetime.fromisoformat, "Give a date and a time, as 2026-11-29T14:30."),
}
_MISSING = "Fill this in."


class _Wrong(ValueError):
    """What was filled in cannot be read: the text says what to do."""


@dataclass(frozen=True)
class Choice:
    """One of several answers."""

    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """One thing to fill in."""

    name: str
    """In the form."""
    key: str | None
    """In the payload; None: it is the payload."""
    label: str
    hint: str
    kind: str
    """`choice`, `list`, `line`, `text`, `json`, `whole`, `number`, or the type of an input: `date`, `password`, …"""
    is_required: bool
    takes_null: bool
    initial: str
    choices: tuple[Choice, ...] = ()
    longest: int | None = None

    def read(self, given: str) -> Any:
        """Return what was filled in as JSON has it. Raises _Wrong."""
        if self.kind in ("choice", "list"):
            if given not in [choice.value for choice in self.choices]:
                raise _Wrong("Choose one of these.")
            return json.loads(given)
        if self.kind == "json":
            return _json(given)
        if self.kind == "whole":
            if not _WHOLE.fullmatch(given.strip()):
                raise _Wrong("Give a whole number, as 12.")
            return int(given)
        if self.kind == "number":
            return _number(given.strip())
        for kind, read, what in _TEMPORAL.values():
            if self.kind == kind:
                return _temporal(given.strip(), read, what)
        return given


@dataclass(frozen=True)
class HookForm:
    """What a person is asked, and how."""

    question: str
    """What the model of the answer says of itself."""
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, schema: Mapping[str, Any] | None) -> "HookForm":
        """Return the form for payloads of this schema; None is any payload, as JSON."""
        if schema is None:
            hint = 'JSON, as {"ok": true} or "yes"; or nothing.'
            return cls("", (Field(_ANSWER, None, "Answer", hint, "json", False, True, ""),))
        whole, _ = _plain(schema, schema)
        question = whole.get("description", "")
        properties: dict[str, Any] = whole.get("properties", {})
        if whole.get("type") != "object" or not properties:
            made = _field(_ANSWER, None, {**schema, "title": "Answer", "description": ""}, schema, is_required=True)
            return cls(question, (made,))
        required = whole.get("required", [])
        fields = [
            _field(f"{_ANSWER}.{key}", key, part, schema, is_required=key in required)
            for key, part in properties.items()
        ]
        return cls(question, tuple(fields))

    def read(self, given: Mapping[str, str]) -> "Filled":
        """Return what was filled in, by the names of fields: the payload, and what is wrong with each field."""
        values: dict[str | None, Any] = {}
        errors: dict[str, str] = {}
        for each in self.fields:
            text = given.get(each.name, "").replace("\r\n", "\n")
            if not text.strip():
                if each.takes_null and (each.is_required or each.key is None):
                    values[each.key] = None
                elif each.is_required:
                    errors[each.name] = "Choose one of these." if each.kind in ("choice", "list") else _MISSING
                elif each.takes_null and each.initial:
                    values[each.key] = None  # it was there, and was taken out
                continue
            try:
                if not is_storable(text):
                    raise _Wrong("This has characters that cannot be kept. Type it anew.")
                values[each.key] = each.read(text)
            except _Wrong as wrong:
                errors[each.name] = str(wrong)
        return Filled(values.get(None) if self.fields[0].key is None else values, errors)

    def name_of(self, path: object) -> str | None:
        """Return the name of the field at a path in the payload, as the errors of payloads give it; None if none is."""
        first = str(path).removeprefix("payload").removeprefix(".").partition(".")[0]
        for each in self.fields:
            if each.key is None or each.key == first:
                return each.name
        return None


@dataclass(frozen=True)
class Filled:
    """A form as it was sent."""

    payload: Any
    errors: dict[str, str] = field(default_factory=dict[str, str])
    """What is wrong, by the names of fields."""


def _field(name: str, key: str | None, part: Mapping[str, Any], root: Mapping[str, Any], *, is_required: bool) -> Field:
    schema, takes_null = _plain(part, root)
    kind, choices = _kind(schema)
    label = part.get("title") or heading_of(key or "")
    hint = schema.get("description") or ""
    if kind == "json":
        hint = f"{hint} As JSON." if hint else "As JSON."
    elif kind == "datetime-local":
        hint = f"{hint} In UTC." if hint else "In UTC."
    default = schema.get("default")
    longest = schema.get("maxLength")
    return Field(
        name, key, label, hint, kind, is_required, takes_null,
        "" if default is None else _shown(kind, default),
        choices,
        longest if isinstance(longest, int) else None,
    )  # fmt: skip


def _plain(part: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema without references and without null, and whether null was in it."""
    schema: dict[str, Any] = dict(part)
    takes_null = False
    for _ in range(16):
        if isinstance(reference := schema.get("$ref"), str):
            outer = {name: value for name, value in schema.items() if name != "$ref"}
            schema = {**root.get("$defs", {}).get(reference.rpartition("/")[2], {}), **outer}
        elif isinstance(kinds := schema.get("type"), list):
            names = [kind for kind in cast(list[Any], kinds) if kind != "null"]
            takes_null = takes_null or len(names) < len(cast(list[Any], kinds))
            schema = {**schema, "type": names[0] if len(names) == 1 else None}
        elif "anyOf" in schema or "oneOf" in schema:
            name = "anyOf" if "anyOf" in schema else "oneOf"
            parts = [each for each in schema[name] if each.get("type") != "null"]
            takes_null = takes_null or len(parts) < len(schema[name])
            outer = {key: value for key, value in schema.items() if key != name}
            if len(parts) != 1:
                texts = all(each.get("type") in ("string", "number", "integer") for each in parts)
                is_text = texts and any(each.get("type") == "string" for each in parts)
                schema = {**outer, "type": "string" if is_text else None}
            else:
                schema = {**parts[0], **outer}
        elif len(schema.get("allOf", [])) == 1:
            outer = {key: value for key, value in schema.items() if key != "allOf"}
            schema = {**schema["allOf"][0], **outer}
        else:
            break
    if isinstance(values := schema.get("enum"), list) and None in values:
        return {**schema, "enum": [value for value in cast(list[Any], values) if value is not None]}, True
    return schema, takes_null or schema.get("type") == "null"


def _kind(schema: Mapping[str, Any]) -> tuple[str, tuple[Choice, ...]]:
    if "const" in schema or "enum" in schema:
        values: list[Any] = schema.get("enum", [schema.get("const")])
        choices = tuple(Choice(json.dumps(value), _name(value)) for value in values)
        return "choice" if len(choices) <= _FEW else "list", choices
    type_, format_ = schema.get("type"), schema.get("format")
    if type_ == "boolean":
        return "choice", (Choice("true", "Yes"), Choice("false", "No"))
    if type_ == "integer":
        return "whole", ()
    if type_ == "number":
        return "number", ()
    if type_ != "string":
        return "json", ()
    if format_ in _TEMPORAL:
        return _TEMPORAL[format_][0], ()
    if format_ == "password":
        return "password", ()
    is_line = format_ is not None or "pattern" in schema or 0 < schema.get("maxLength", 0) <= _LINE
    return "line" if is_line else "text", ()


def _shown(kind: str, value: Any) -> str:
    """A default as the form has it."""
    if kind in ("choice", "list", "json") or not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return value.removesuffix("Z")[:16] if kind == "datetime-local" else value


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return value if isinstance(value, str) else json.dumps(value)


def heading_of(name: str) -> str:
    """Return a name as a heading: `may_publish` as `May publish`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\W]+", " ", name).strip()
    return words[:1].upper() + words[1:] or name


def _json(text: str) -> Any:
    try:
        return parse(text.encode())
    except Refused as refused:
        why = refused.detail.replace("The body is not JSON: ", "This is not JSON: ").replace("The body", "This")
        raise _Wrong(why) from None


def _number(text: str) -> int | float:
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _Wrong("Give a number, as 12.5.")
    return int(text) if _WHOLE.fullmatch(text) else number


def _temporal(text: str, read: Callable[[str], object], what: str) -> str:
    try:
        found = read(text)
    except ValueError:
        raise _Wrong(what) from None
    if isinstance(found, datetime) and found.tzinfo is None:
        return f"{text}{':00' if len(text) == 16 else ''}Z"
    return text

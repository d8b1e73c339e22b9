"""What a host asks its user for: a flat form made of a JSON schema, and what was filled in as JSON."""

import json
from collections.abc import Mapping
from typing import Any, cast

from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.hook_form import Field, HookForm
from agent_tasks.task.arguments import shown

_BOOLEANS = ("true", "false")
_FORMATS = {"date": "date", "datetime-local": "date-time"}


class ElicitationForm:
    """A question with the fields that the protocol knows: text, numbers, yes or no, and one of several.

    Whatever else a schema has is asked for as JSON in a text.
    """

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self._form = HookForm.of(schema)

    def request(self, asked_by: str) -> dict[str, Any]:
        """Return the request that asks for it."""
        required = [_key(each) for each in self._form.fields if each.is_required]
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {_key(each): _property(each) for each in self._form.fields},
            **({"required": required} if required else {}),
        }
        message = self._form.question or asked_by
        return {
            "method": "elicitation/create",
            "params": {"mode": "form", "message": message, "requestedSchema": schema},
        }

    def read(self, content: Any) -> Any:
        """Return what was filled in as the schema has it. Raises InvalidInput that names the field."""
        if not isinstance(content, dict):
            raise InvalidInput(f"content must be an object, not {shown(content)}", field="content")
        given = cast(dict[str, Any], content)
        known = {_key(each): each for each in self._form.fields}
        if unknown := [name for name in given if name not in known]:
            raise InvalidInput(
                f"content has {shown(unknown[0])}, which was not asked for. Asked for: {', '.join(known)}.",
                field=unknown[0],
            )
        values = {name: _value(known[name], value) for name, value in given.items()}
        (first, *_) = self._form.fields
        return values.get(_key(first)) if first.key is None else values


def _key(field: Field) -> str:
    return field.key or field.name


def _property(field: Field) -> dict[str, Any]:
    said: dict[str, Any] = {"title": field.label, **({"description": field.hint} if field.hint else {})}
    values = [choice.value for choice in field.choices]
    if tuple(values) == _BOOLEANS:
        said["type"] = "boolean"
    elif values:
        said |= {"type": "string", "enum": [_text(value) for value in values]}
    elif field.kind in ("whole", "number"):
        said["type"] = "integer" if field.kind == "whole" else "number"
    else:
        said["type"] = "string"
        if field.kind in _FORMATS:
            said["format"] = _FORMATS[field.kind]
        if field.longest is not None:
            said["maxLength"] = field.longest
    return said


def _text(choice: str) -> str:
    """A choice as a text: one that is a text by itself, any other as JSON."""
    value = json.loads(choice)
    return value if isinstance(value, str) else choice


def _value(field: Field, given: Any) -> Any:
    if not isinstance(given, str):
        return given
    for choice in field.choices:
        if given == _text(choice.value):
            return json.loads(choice.value)
    if field.kind == "json":
        try:
            return json.loads(given)
        except ValueError:
            raise InvalidInput(f"{_key(field)} must be JSON, not {shown(given)}", field=_key(field)) from None
    return given

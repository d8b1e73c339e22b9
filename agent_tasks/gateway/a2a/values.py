"""JSON in and out of the protocol's own types, which know no whole numbers."""

from datetime import datetime
from typing import Any

from a2a.types import a2a_pb2 as a2a
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

JSON, TEXT = "application/json", "text/plain"
MODES = [TEXT, JSON]
_WHOLE = 2.0**53
"""Up to here each whole number is a double, and a double without a fraction was meant to be one."""


def plain(value: Value) -> Any:
    """Return a value as JSON; a number without a fraction is a whole one."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain_struct(value.struct_value)
    if kind == "list_value":
        return [plain(each) for each in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _WHOLE else number
    return None if kind in (None, "null_value") else getattr(value, kind)


def plain_struct(struct: Struct) -> dict[str, Any]:
    """Return an object as JSON."""
    return {name: plain(value) for name, value in struct.fields.items()}


def value_of(given: Any) -> Value:
    """Return JSON as the protocol's value."""
    return ParseDict(given, Value())


def struct_of(given: dict[str, Any]) -> Struct:
    """Return a JSON object as the protocol's."""
    return ParseDict(given, Struct())


def part_of(given: Any) -> a2a.Part:
    """Return JSON as a part: text where it is text, else data."""
    if isinstance(given, str):
        return a2a.Part(text=given, media_type=TEXT)
    return a2a.Part(data=value_of(given), media_type=JSON)


def time_of(at: datetime) -> Timestamp:
    """Return a time in whole milliseconds."""
    stamp = Timestamp()
    stamp.FromDatetime(at.replace(microsecond=at.microsecond // 1000 * 1000))
    return stamp

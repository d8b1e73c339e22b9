"""JSON in and out of the protocol's own types, which know no whole numbers."""

import json
import math
from datetime import datetime
from typing import Any, cast

from a2a.types import a2a_pb2 as a2a
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

JSON, TEXT = "application/json", "text/plain"
MODES = [TEXT, JSON]
_WHOLE = 2.0**53
"""Up to here each whole number is a double, and a double without a fraction was meant to be one."""


_LARGEST, _DEEPEST = 5_000, 30
"""Values of one part, and how deep they may lie in each other. Making more of them into the protocol's, or back, takes
longer than an event loop may stand still, and the protocol's take no more than 100 levels."""
JSON_TEXT = "agent-tasks/json"
"""The one name of an object that is told as text."""


def fits(given: Any) -> bool:
    """Whether JSON can be the protocol's values: not too large or too deep, and all numbers doubles."""
    left, level = _LARGEST, [given]
    for _ in range(_DEEPEST):
        left -= len(level)
        if left < 0 or not all(_is_double(value) for value in level):
            return False
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(cast("dict[str, Any]", value).values())
            elif isinstance(value, list):
                below.extend(cast("list[Any]", value))
        if not below:
            return True
        level = below
    return False


def _is_double(value: Any) -> bool:
    try:
        return not isinstance(value, int | float) or math.isfinite(float(value))
    except OverflowError:
        return False


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


def is_same(given: Any, stored: Any) -> bool:
    """Whether JSON that came in numbers of the protocol's is what Postgres has kept of it."""
    if isinstance(given, dict) and isinstance(stored, dict):
        ours, theirs = cast("dict[str, Any]", given), cast("dict[str, Any]", stored)
        return ours.keys() == theirs.keys() and all(is_same(value, theirs[name]) for name, value in ours.items())
    if isinstance(given, list) and isinstance(stored, list):
        mine, others = cast("list[Any]", given), cast("list[Any]", stored)
        return len(mine) == len(others) and all(map(is_same, mine, others))
    if isinstance(given, bool) or isinstance(stored, bool):
        return given is stored
    if isinstance(given, int | float) and isinstance(stored, int | float):
        return float(given) == float(stored)
    return given == stored


def struct_of(given: dict[str, Any]) -> Struct:
    """Return a JSON object of our own making as the protocol's."""
    return ParseDict(given, Struct())


def fitting(given: dict[str, Any]) -> dict[str, Any]:
    """Return an object of somebody's that fits; one that does not is there as text, under `JSON_TEXT`."""
    return given if fits(given) else {JSON_TEXT: json.dumps(given)}


def part_of(given: Any) -> a2a.Part:
    """Return JSON as a part: text where it is text, else data, and data that does not fit as the text of its JSON."""
    if isinstance(given, str):
        return a2a.Part(text=given, media_type=TEXT)
    if not fits(given):
        return a2a.Part(text=json.dumps(given), media_type=JSON)
    return a2a.Part(data=ParseDict(given, Value()), media_type=JSON)


def time_of(at: datetime) -> Timestamp:
    """Return a time in whole milliseconds."""
    stamp = Timestamp()
    stamp.FromDatetime(at.replace(microsecond=at.microsecond // 1000 * 1000))
    return stamp

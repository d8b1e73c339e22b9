"""The JSON values that an annotation accepts whatever they are, by no more than their type."""

import types
import typing
from typing import Any

EVERY = frozenset({"string", "integer", "number", "boolean", "null", "object", "array"})
"""The types of JSON, with those numbers apart that are integers."""
_WHOLE: dict[Any, frozenset[str]] = {
    str: frozenset({"string"}),
    int: frozenset({"integer"}),
    float: frozenset({"integer", "number"}),
    bool: frozenset({"boolean"}),
    types.NoneType: frozenset({"null"}),
    dict: frozenset({"object"}),
    list: frozenset({"array"}),
}
_OPEN = ((Any,), (str, Any), (Any, Any))


def accepted_types(hint: Any) -> frozenset[str]:
    """Return the types of JSON of which `hint` accepts every value; of others it may accept some."""
    if hint is Any:
        return EVERY
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return frozenset[str]().union(*map(accepted_types, arguments))
    if origin in (dict, list):
        return _WHOLE[origin] if arguments in _OPEN else frozenset()
    return _WHOLE.get(hint, frozenset()) if isinstance(hint, type) else frozenset()

"""Comparing a value with what was read back from its JSON: the first part that was lost or changed."""

import dataclasses
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any, cast

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

_PLAIN = (str, int, float, bool, type(None), list, dict)
Difference = tuple[str, str]
"""The path of the difference, and a description of it."""


def difference(written: Any, read: Any, path: str, *, untyped: bool) -> Difference | None:
    """Return the first part of `written` that `read` lacks or has otherwise; None where it came back equal.

    `untyped`: values whose type no annotation names come back as plain JSON: a tuple as a list, a date as text.
    Masked secrets, missing fields and lost keys count as differences there too.
    """
    if is_same(written, read):
        return None
    if isinstance(written, Secret | SecretStr | SecretBytes):
        if untyped and read == cast(Any, written.get_secret_value()):
            return None
        return path, "is a secret, which pydantic writes as asterisks: pass where it is kept, and fetch it there"
    if isinstance(written, BaseModel):
        return _of_model(written, read, path, untyped=untyped)
    if dataclasses.is_dataclass(written) and not isinstance(written, type):
        return _of_fields(written, _fields(written), read, path, untyped=untyped)
    if isinstance(written, Mapping):
        return _of_mapping(cast("Mapping[Any, Any]", written), read, path, untyped=untyped)
    if isinstance(written, Collection) and not isinstance(written, str | bytes | bytearray | memoryview):
        return _of_items(cast("Collection[Any]", written), read, path, untyped=untyped)
    if read is None and isinstance(written, float):
        return path, f"is {written}, for which JSON has no number"
    if untyped and isinstance(read, _PLAIN):
        return None  # its JSON form
    if type(read) is type(written) and (type(written).__eq__ is object.__eq__ or written != written):
        return None  # nothing can be said: no two instances are ever equal
    return _changed(written, read, path)


def is_same(written: Any, read: Any) -> bool:
    """Whether a value came back equal, and in the same order where order counts."""
    return written is read or (_equal(written, read) and not _reordered(written, read))


def _equal(written: Any, read: Any) -> bool:
    try:
        return bool(written == read)
    except Exception:  # a user's __eq__ that fails or returns no bool, as an array's does
        return False


def _reordered(written: Any, read: Any) -> bool:
    return isinstance(written, OrderedDict) and isinstance(read, OrderedDict) and list(written) != list(read)  # pyright: ignore[reportUnknownArgumentType]


def _changed(written: Any, read: Any, path: str) -> Difference:
    kinds = f"a {type(written).__qualname__}", f"a {type(read).__qualname__}"
    if kinds[0] == kinds[1]:
        return path, f"is {written!r:.60} and comes back as {read!r:.60}"
    return path, f"is {kinds[0]} and comes back as {kinds[1]}; name each type it may have in its annotation"


def _of_model(written: BaseModel, read: Any, path: str, *, untyped: bool) -> Difference | None:
    kind = type(written)
    fields = {name: getattr(written, name) for name in kind.model_fields} | (written.model_extra or {})
    if untyped and not isinstance(read, BaseModel):
        if not isinstance(read, dict) or kind.__pydantic_decorators__.model_serializers:
            return None  # a form chosen by its author
        found = cast("dict[str, Any]", read)
        for name, value in fields.items():
            info = kind.model_fields.get(name)
            if info is not None and info.exclude:
                continue
            names = (name, info.serialization_alias, info.alias) if info else (name,)
            key = next((key for key in names if key in found), None)
            if key is None:
                return f"{path}.{name}", "is lost: the annotation of its object has no such field"
            if lost := difference(value, found[key], f"{path}.{name}", untyped=True):
                return lost
        return None
    return _of_fields(written, fields, read, path, untyped=untyped)


def _fields(written: Any) -> dict[str, Any]:
    return {field.name: getattr(written, field.name) for field in dataclasses.fields(written)}


def _of_fields(written: Any, fields: dict[str, Any], read: Any, path: str, *, untyped: bool) -> Difference | None:
    found: dict[str, Any] = {}
    if isinstance(read, BaseModel):
        found = {name: getattr(read, name) for name in type(read).model_fields} | (read.model_extra or {})
    elif dataclasses.is_dataclass(read) and not isinstance(read, type):
        found = _fields(read)
    elif untyped and isinstance(read, dict):
        found = cast("dict[str, Any]", read)
    else:
        return None if untyped and isinstance(read, _PLAIN) else _changed(written, read, path)
    for name, value in fields.items():
        if name not in found:
            return f"{path}.{name}", "is lost: the annotation of its object has no such field"
        if lost := difference(value, found[name], f"{path}.{name}", untyped=untyped):
            return lost
    if added := sorted(found.keys() - fields.keys()):
        return f"{path}.{added[0]}", "appears, although it was not there"
    return None if type(read) is type(written) or isinstance(read, dict) else _changed(written, read, path)


def _of_mapping(written: Mapping[Any, Any], read: Any, path: str, *, untyped: bool) -> Difference | None:
    if not isinstance(read, Mapping):
        return None if untyped and isinstance(read, _PLAIN) else _changed(written, read, path)
    found = cast("Mapping[Any, Any]", read)
    if len(found) != len(written):
        return path, f"has {len(written)} keys, of which {len(found)} come back: several are the same text in JSON"
    if _reordered(written, read):
        return path, "comes back in another order: pass a list of pairs"
    for key, value in written.items():
        name = next((name for name in _names(key) if name in found), None) if untyped else key
        if name not in found:
            if untyped:
                continue  # a key written in a form chosen by its author
            return f"{path} key", f"{key!r:.60} is lost"
        if lost := difference(value, found[name], f"{path}.{name}"[:200], untyped=untyped):
            return lost
    return None


def _names(key: Any) -> tuple[Any, ...]:
    """Return the names that `key` may have in JSON."""
    return key, *({True: ("true",), False: ("false",), None: ("null", "None")}.get(key, (str(key),)))


def _of_items(written: Collection[Any], read: Any, path: str, *, untyped: bool) -> Difference | None:
    if not isinstance(read, Collection) or isinstance(read, str | bytes | Mapping):
        return None if untyped and isinstance(read, _PLAIN) else _changed(written, read, path)
    found = cast("Collection[Any]", read)
    if len(found) != len(written):
        return path, f"has {len(written)} items, of which {len(found)} come back"
    if not untyped and type(read) is not type(written):
        return _changed(written, read, path)
    for position, (value, other) in enumerate(zip(written, found, strict=True)):
        if lost := difference(value, other, f"{path}[{position}]", untyped=untyped):
            return lost
    return None

"""The identity of a call: its branch, name, arguments and place among equals, or the author's own key."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, cast
from uuid import UUID

_LONGEST_NUMBER = 14_000
"""The most bits of an integer that Python writes in decimal digits."""
_DEEPEST = 150
_BY_TEXT = frozenset(("datetime", "decimal", "fractions", "pathlib", "uuid", "zoneinfo"))
"""The standard library's modules whose objects show their whole value in their repr."""


class CallIdentity(NamedTuple):
    """The identity of a step's call, the same in each repeat of the step, wherever and whenever it runs."""

    branch: str
    """The path of the code that made it: `agent_tasks.authoring.calls.branches`."""
    name: str
    digest: str
    """The digest of the arguments."""
    place: int
    """The place among the calls of this branch with the same name and digest, from 0."""
    key: str | None = None
    """The author's own key, which replaces branch and place."""

    @property
    def fingerprint(self) -> str:
        known = ("key", self.name, self.digest, self.key) if self.key is not None else self[:4]
        return hashlib.blake2b("\0".join(map(str, known)).encode(), digest_size=16).hexdigest()

    @property
    def path(self) -> str:
        """The path of the branch in which the call's function runs; with a key, the same wherever the call is made."""
        part = f"{part_of(self.name)}({self.fingerprint[:12]})"
        return f"/{part}" if self.key is not None else f"{self.branch}/{part}"

    def idempotency_key(self, lineage: UUID, ledger_step: int) -> str:
        """Return the key for the outside world: one for this call over all tasks resumed from each other."""
        return hashlib.sha256(f"{lineage}:{ledger_step}:{self.fingerprint}".encode()).hexdigest()


def part_of(name: str) -> str:
    """Return a name as a part of a branch's path."""
    return name.replace("/", "|")[:100]


def name_of(function: Callable[..., Any]) -> str:
    """Return the qualified name under which a call of `function` is recorded."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[Any]", function).func
    return getattr(function, "__qualname__", None) or type(function).__qualname__


@functools.lru_cache(maxsize=1024)
def wait_known_by(signals: tuple[str, ...], all_of_them: bool) -> tuple[str, str]:
    """Return the name and the digest under which a wait for these signals is recorded."""
    return f"wait {', '.join(signals)}"[:200], digest_of((signals, all_of_them), {})


def fan_out_known_by(children: Sequence[Any]) -> tuple[str, str]:
    """Return the name and the digest under which a fan-out is recorded: the children's agents and inputs."""
    agents = ", ".join(sorted({child.agent_name for child in children}))
    return f"fan_out {agents}"[:200], digest_of([(child.agent_name, child.input) for child in children], {})


def digest_of(args: Iterable[Any], kwargs: dict[str, Any]) -> str:
    """Return a digest of the data in a call's arguments, whatever the order of keys in it.

    An object that is not data (a client, a context, a lock) counts by its type, since the address in its repr
    differs from process to process.
    """
    try:
        text = _ENCODER.encode((args, kwargs))
    except (TypeError, ValueError, RecursionError):  # keys of several types, or an object that contains itself
        text = json.dumps(_plain((args, kwargs), 0))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _data(value: Any) -> Any:
    """Return the data that `value` stands for, tagged with its type."""
    kind = type(value).__qualname__
    dump = None if isinstance(value, type) else getattr(value, "model_dump", None)
    if dump is not None:
        try:
            return {"": kind, "v": dump(mode="json")}
        except Exception:  # a model that has no JSON form counts by its type, as other objects do
            return {"": kind}
    if is_dataclass(value) and not isinstance(value, type):
        return {"": kind, "v": {f.name: getattr(value, f.name, None) for f in fields(value)}}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"": "bytes", "v": hashlib.blake2b(value, digest_size=16).hexdigest()}
    if isinstance(value, set | frozenset):
        return {"": "set", "v": sorted(digest_of((item,), {}) for item in cast("set[Any]", value))}
    if isinstance(value, BaseException):
        return {"": kind, "v": list(value.args)}
    if type(value).__module__.partition(".")[0] in _BY_TEXT:
        return {"": kind, "v": str(value)}
    if callable(value):
        return {"": "function", "v": name_of(value)}
    return {"": kind}


def _plain(value: Any, depth: int) -> Any:
    """Return `value` with dicts as sorted lists of their pairs, for keys that JSON cannot sort."""
    if depth > _DEEPEST:
        return {"": type(value).__qualname__}
    if isinstance(value, dict):
        pairs = [
            [digest_of((key,), {}), _plain(item, depth + 1)] for key, item in cast("dict[Any, Any]", value).items()
        ]
        return sorted(pairs, key=lambda pair: pair[0])
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:  # Python does not write it in decimal digits
        return {"": "int", "v": hex(value)}
    if value is None or isinstance(value, str | int | float):
        return value
    return _plain(_data(value), depth + 1)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_data)

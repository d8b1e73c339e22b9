"""Recording the exceptions of calls, and rebuilding them for a repeated step."""

import importlib
import json
from typing import Any, cast

from agent_tasks.errors import AgentTaskError, ErrorInfo, from_info, text_of
from agent_tasks.storable import storable

_LONGEST_MESSAGE = 2000
_LARGEST = 16_384
"""The most bytes of JSON that an exception's own arguments and attributes may take."""
_DEEPEST = 8


def record(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """Return an exception as JSON: its type, its message, and what is needed to build it again."""
    kinds = [f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__[:-2]]  # not BaseException, object
    kept: dict[str, Any] = {
        "type": type(error).__name__,
        "message": storable(text_of(error))[:_LONGEST_MESSAGE],
        "kinds": [storable(kind) for kind in kinds],
    }
    if isinstance(error, AgentTaskError):
        return kept | {"info": error.info.model_dump(mode="json")}
    if isinstance(error, BaseExceptionGroup) and depth < _DEEPEST:
        members: tuple[BaseException, ...] = error.exceptions
        return kept | {"title": storable(error.message), "members": [record(member, depth + 1) for member in members]}
    return kept | _parts(error)


_REPEATED = "This call was not made again: a repeated step sees the failure that was recorded."


def rebuild(kept: dict[str, Any], note: str = _REPEATED) -> BaseException:
    """Return the exception that was recorded.

    It has the same class if that can be imported and takes the recorded arguments; otherwise it is a stand-in of that
    class, or of its nearest base that can be imported, with the same message. So `except` catches it as at first.
    """
    error = _built(kept) or _stand_in(kept)
    error.add_note(note)
    return error


def _parts(error: BaseException) -> dict[str, Any]:
    """Return the constructor's arguments and the attributes, as pickle would keep them, where they are plain JSON.

    Arguments are kept only if all attributes are: the constructor would set a missing one to something else.
    """
    try:
        reduced: Any = error.__reduce_ex__(4)
        args, state = list(reduced[1]), (reduced[2] if len(reduced) > 2 else None) or {}
        kept = {name: value for name, value in state.items() if _is_kept([name, value])}
        can_be_built = reduced[0] is type(error) and _is_kept(args) and len(kept) == len(state)
        return {"state": kept, "args": args} if can_be_built else {"state": kept}
    except Exception:  # an exception class may do anything when taken apart; the message is kept all the same
        return {}


def _is_kept(value: Any) -> bool:
    """Whether JSON, in Postgres too, gives this value back as it is."""
    try:
        text = json.dumps(value, allow_nan=False)
        return len(text) <= _LARGEST and "\\u0000" not in text and storable(text) == text and json.loads(text) == value
    except (TypeError, ValueError, RecursionError):
        return False


def _built(kept: dict[str, Any]) -> BaseException | None:
    kind = _found(next(iter(kept.get("kinds", ())), ""))
    if kind is None:
        return None
    try:
        error = _of_kind(kind, kept)
    except Exception:  # its constructor wants what was not recorded
        return None
    return error if error is not None and storable(text_of(error))[:_LONGEST_MESSAGE] == kept["message"] else None


def _of_kind(kind: type[BaseException], kept: dict[str, Any]) -> BaseException | None:
    if issubclass(kind, AgentTaskError) and "info" in kept:
        return kind.recorded(ErrorInfo.model_validate(kept["info"]))
    if issubclass(kind, BaseExceptionGroup) and "members" in kept:
        members = [rebuild(member) for member in kept["members"]]
        return kind(kept["title"], members)  # pyright: ignore[reportUnknownVariableType]
    if "args" not in kept:
        return None
    error = kind(*kept["args"])
    for name, value in kept["state"].items():
        setattr(error, name, value)
    return error


def _stand_in(kept: dict[str, Any]) -> BaseException:
    kinds = (_found(kind) for kind in kept.get("kinds", ()))
    for kind in (found for found in kinds if found is not None):
        try:
            return _dressed(kind, kept)
        except Exception:  # the class cannot be subclassed: its base will do
            continue
    return _dressed(Exception, kept)


def _dressed(kind: type[BaseException], kept: dict[str, Any]) -> BaseException:
    """Return an instance of a subclass of `kind` under the recorded name, without running its constructor."""
    message: str = kept["message"]
    body = {"__module__": __name__, "__str__": lambda self: message}
    stand_in = cast("type[BaseException]", type(kept["type"], (kind,), body))
    if issubclass(kind, BaseExceptionGroup):
        members = [rebuild(member) for member in kept.get("members", ())] or [Exception(message)]
        return stand_in.__new__(stand_in, message, members)
    error = stand_in.__new__(stand_in, message)
    error.args = (message,)
    if issubclass(kind, AgentTaskError):
        error.__dict__.update(from_info(ErrorInfo.model_validate(kept["info"])).__dict__)
    error.__dict__.update(kept.get("state", {}))
    return error


def _found(kind: str) -> type[BaseException] | None:
    """Return the class of a recorded name such as `builtins:OSError`, if it still exists."""
    module, _, name = kind.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception:  # the module or the class is gone, is local to a function, or fails to load
        return None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None

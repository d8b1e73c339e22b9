"""Answers of calls: what a function returned, as JSON, and as the step is given it from that."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from agent_tasks import payloads
from agent_tasks.call_identity import name_of
from agent_tasks.errors import StepFailed
from agent_tasks.operations import Answer


class RecordedAnswer(Answer):
    """What a call's function returned."""

    def __init__(self, function: Callable[..., Any], returned: Any, limit: int) -> None:
        self._function = function
        self._returned = returned
        self._limit = limit

    @functools.cached_property
    def text(self) -> str:
        """Its JSON. Raises StepFailed, PayloadTooLarge."""
        return payloads.encode_outcome(self._returned, f"outcome of call {name_of(self._function)}", limit=self._limit)

    @property
    def value(self) -> Any:
        return self._restored[0]

    @functools.cached_property
    def _restored(self) -> tuple[Any]:
        return (restore(self._function, payloads.stored(self.text)),)


def restore(function: Callable[..., Any], value: Any) -> Any:
    """Recorded JSON as the function's return annotation has it: the same at first and on repeat."""
    adapter = _return_type(_underlying(function))
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise StepFailed(
            f"Call {name_of(function)} returned what its annotation does not allow: {first['msg']} at "
            f"{'.'.join(map(str, first['loc'])) or 'the top'}",
            call=name_of(function),
        ) from None


def _underlying(function: Callable[..., Any]) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


@functools.lru_cache(maxsize=1024)
def _return_type(function: Any) -> "TypeAdapter[Any] | None":
    if not inspect.isfunction(function):
        return None
    try:
        hint = typing.get_type_hints(function, include_extras=True).get("return", Any)
        return None if hint is Any else TypeAdapter(hint)
    except (NameError, TypeError, PydanticUserError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return None  # not for pydantic: the caller gets plain JSON

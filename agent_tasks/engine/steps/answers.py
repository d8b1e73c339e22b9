"""Answers of calls: what a function returned, as JSON, and as the step is given it from that."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from agent_tasks.authoring.calls.call_identity import name_of
from agent_tasks.authoring.calls.operations import Answer
from agent_tasks.errors import StepFailed
from agent_tasks.task import payloads
from agent_tasks.task.shapes import Shape


class RecordedAnswer(Answer):
    """The value that a call's function returned, to be recorded."""

    def __init__(self, function: Callable[..., Any], returned: Any, limit: int) -> None:
        self._function = function
        self._returned = returned
        self._limit = limit

    @property
    def text(self) -> str:
        """The value as JSON. Raises StepFailed, also where the value would not be read back, and PayloadTooLarge."""
        return self._written[0]

    @property
    def value(self) -> Any:
        return self._written[1]

    @functools.cached_property
    def _written(self) -> tuple[str, Any]:
        what = f"outcome of call {name_of(self._function)}"
        shape = _return_shape(_underlying(self._function))
        if shape is None:
            text = payloads.encode_value(self._returned, what, limit=self._limit)
            return text, payloads.stored(text)
        try:
            return shape.write(self._returned, what, limit=self._limit, error=StepFailed)
        except ValidationError as error:
            raise _misfit(self._function, error) from None


def restore(function: Callable[..., Any], value: Any) -> Any:
    """Make of recorded JSON what the function's return annotation says: the same at first and on repeat."""
    shape = _return_shape(_underlying(function))
    try:
        return value if shape is None else shape.read(value)
    except ValidationError as error:
        raise _misfit(function, error) from None


def _misfit(function: Callable[..., Any], error: ValidationError) -> StepFailed:
    first = error.errors()[0]
    return StepFailed(
        f"Call {name_of(function)} returned what its annotation does not allow: {first['msg']} at "
        f"{'.'.join(map(str, first['loc'])) or 'the top'}",
        call=name_of(function),
    )


def _underlying(function: Callable[..., Any]) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


def _return_shape(function: Any) -> Shape | None:
    if not inspect.isfunction(function) or "return" not in function.__annotations__:
        return None
    return (
        _shape_of(function) if function.__closure__ is None else _shape_of.__wrapped__(function)
    )  # what it holds may go


@functools.lru_cache(maxsize=1024)
def _shape_of(function: Any) -> Shape | None:
    try:
        hint = typing.get_type_hints(function, include_extras=True).get("return", Any)
        return None if hint is Any else Shape(hint)
    except (NameError, TypeError, PydanticUserError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return None  # not for pydantic: the caller gets plain JSON

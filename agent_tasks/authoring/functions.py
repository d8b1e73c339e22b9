"""Functions as users write them: plain, async, bound, partial, decorated, or callable objects."""

import functools
import inspect
from collections.abc import Callable
from typing import Any


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives an awaitable, also behind `functools.wraps`, a partial or an object."""
    inner = _inner(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004


def is_generator(function: Callable[..., Any]) -> bool:
    inner = _inner(function)
    return inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)


def is_same(one: Any, other: Any) -> bool:
    """Whether one of them is the other behind decorators that used `functools.wraps`."""
    return one == other or _unwrapped(one) == _unwrapped(other)


def name_of(function: Any) -> str:
    """Return the name with which a function was defined, or of an object its class's name."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


def _inner(function: Any) -> Any:
    while True:
        inner = _unwrapped(function)
        if isinstance(inner, functools.partial):
            inner = inner.func
        if inner is function:
            return inner
        function = inner


def _unwrapped(function: Any) -> Any:
    try:
        return inspect.unwrap(function)
    except ValueError:  # it wraps itself
        return function

"""Functions as users write them: plain, async, bound, partial, decorated, or objects that can be called."""

import functools
import inspect
from collections.abc import Callable
from typing import Any


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of `function` gives something to await: also behind `functools.wraps`, a partial, an object."""
    inner = _inner(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004


def is_generator(function: Callable[..., Any]) -> bool:
    inner = _inner(function)
    return inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)


def is_same(one: Any, other: Any) -> bool:
    """Whether one of them is the other behind decorators that used `functools.wraps`."""
    return one == other or _unwrapped(one) == _unwrapped(other)


def name_of(function: Any) -> str:
    """The name it was defined with; that of its class where it is an object."""
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

"""Which signals the steps of an agent can wait for, told from their code."""

import ast
import inspect
import logging
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, cast

from agent_tasks.directives import Wait
from agent_tasks.function_scope import CannotTell, FunctionScope, hinted

log = logging.getLogger(__name__)
_MOST = 2000
"""Functions, classes and values to look at, at most."""
_PLAIN = (str, bytes, int, float, complex, type(None), type(Ellipsis))
_NEVER_OWN = {*sys.stdlib_module_names, "agent_tasks"}


def wait_names(functions: Iterable[Callable[..., Any]]) -> frozenset[str] | None:
    """The names in every `Wait(...)` of these functions and of what they reach; None where that cannot be told.

    It would be wrong to refuse a signal that is waited for, and only a pity to keep one that is not: whatever is
    not plain to see is None.
    """
    functions = list(functions)
    reader = _Reader({_package(function) for function in functions})
    try:
        reader.read(functions)
    except CannotTell as why:
        log.debug("it cannot be told for which signals an agent waits: %s", why)
        return None
    except Exception as error:  # objects may do what they like when they are looked at, and must not stop a worker
        log.warning("it cannot be told for which signals an agent waits: %r", error)
        return None
    return frozenset(reader.names)


class _Reader:
    """Goes from value to value. Packages that do not know agent_tasks make no Wait, and are passed by."""

    def __init__(self, own: set[str]) -> None:
        self.names: set[str] = set()
        self._own = dict.fromkeys(own - _NEVER_OWN, True)
        self._seen: dict[int, Any] = {}
        self._left: list[Any] = []

    def read(self, values: Iterable[Any]) -> None:
        self._see(*values)
        while self._left:
            self._visit(self._left.pop())

    def _see(self, *values: Any) -> None:
        for value in values:
            if isinstance(value, _PLAIN) or id(value) in self._seen:
                continue
            if len(self._seen) == _MOST:
                raise CannotTell("there is too much code")
            self._seen[id(value)] = value
            self._left.append(value)

    def _see_hinted(self, classes: Iterable[Any]) -> None:
        self._see(*(cls for cls in classes if cls is not Wait))

    def _visit(self, value: Any) -> None:
        if isinstance(value, Wait):
            self.names.update(value.names)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, MethodType):
            self._see(value.__func__, value.__self__)
        elif isinstance(value, staticmethod | classmethod):
            self._see(cast(Any, value).__func__)
        elif isinstance(value, property):
            self._see(value.fget)
        elif isinstance(value, partial):
            self._see(value.func, *value.args, *value.keywords.values())
        elif isinstance(value, dict):
            self._see(*cast("dict[Any, Any]", value).values())
        elif isinstance(value, list | tuple | set | frozenset):
            self._see(*cast("list[Any]", value))
        elif isinstance(value, type):
            self._class(value)
        elif not isinstance(value, ModuleType):
            self._instance(value)

    def _class(self, cls: type) -> None:
        if issubclass(cls, Wait):
            raise CannotTell(f"{cls.__name__} is handed around")
        for base in cls.__mro__:
            if self._is_own(base):
                self._see_hinted(hinted(base, vars(sys.modules[base.__module__])))
                self._see(*(value for name, value in vars(base).items() if _is_written(name, value)))

    def _instance(self, value: Any) -> None:
        attributes: Mapping[str, Any] = getattr(value, "__dict__", {})
        if self._is_own(type(value)):
            self._see(type(value), *attributes.values())
        else:  # a wrapper, perhaps: of functools, or of another library
            wrapped = [found for found in attributes.values() if isinstance(found, FunctionType | MethodType)]
            self._see(*wrapped)
            if callable(value) and not wrapped and self._is_own(value):
                raise CannotTell(f"{value!r} is not written in Python")

    def _function(self, function: FunctionType) -> None:
        scope = FunctionScope(function)
        module = function.__globals__.get("__name__")
        if module is not None and not self._is_own(module):
            self._see(*scope.closure.values())  # a decorator of another library; what it decorates may be ours
            return
        self._see(*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        self._see_hinted(scope.hinted())
        makes_waits = False
        for value in scope.values():
            if value is Wait:
                makes_waits = True
            elif not isinstance(value, ModuleType):
                self._see(value)
        if makes_waits:
            self.names.update(_names_in(scope))

    def _is_own(self, thing: Any) -> bool:
        """Whether a package may make Waits: one of the steps', or that holds anything of agent_tasks."""
        package = _package(thing)
        if package not in self._own:
            self._own[package] = package not in _NEVER_OWN and any(
                _package(value) == "agent_tasks"
                for name, module in list(sys.modules.items())
                if name.partition(".")[0] == package
                for value in list(getattr(module, "__dict__", {}).values())
                if issubclass(type(value), type | FunctionType | ModuleType)
            )
        return self._own[package]


def _names_in(scope: FunctionScope) -> Iterator[str]:
    """The names in each `Wait(...)` of a function that mentions it."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(scope.code)))
    except (OSError, TypeError, SyntaxError):
        raise CannotTell(f"the source of {scope.code.co_name} is not there") from None
    nodes = list(_without_annotations(tree))
    calls = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
    mentions = [node for node in nodes if scope.value(node) is Wait]
    if not mentions:
        raise CannotTell(f"the source of {scope.code.co_name} is not that of its code, or it imports Wait itself")
    for node in mentions:
        call = calls.get(id(node))
        if call is None or not call.args:
            raise CannotTell(f"Wait is handed around in {scope.code.co_name}")
        yield from _literal(call.args[0], scope)


def _literal(node: ast.AST, scope: FunctionScope) -> list[str]:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [name for element in node.elts for name in _literal(element, scope)]
    if isinstance(node, ast.IfExp):
        return _literal(node.body, scope) + _literal(node.orelse, scope)
    value = node.value if isinstance(node, ast.Constant) else scope.value(node)
    names: list[Any] = list(cast("list[Any]", value)) if isinstance(value, list | tuple | frozenset) else [value]
    if not all(isinstance(name, str) for name in names):
        raise CannotTell(f"a name is computed in {scope.code.co_name}")
    return [str.__str__(name) for name in names]


def _is_written(name: str, value: Any) -> bool:
    """Whether it stands in a class of itself, and not because Python, or pydantic, put it there."""
    return isinstance(value, FunctionType) or not (name.startswith("__") and name.endswith("__"))


def _without_annotations(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in cast("list[Any]", value) if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _without_annotations(child)


def _package(thing: Any) -> str:
    """The top-level package of a module's name, of a module, or of what was defined in one."""
    attribute = "__name__" if isinstance(thing, ModuleType) else "__module__"
    name = thing if isinstance(thing, str) else getattr(thing, attribute, None)
    return name.partition(".")[0] if isinstance(name, str) else ""

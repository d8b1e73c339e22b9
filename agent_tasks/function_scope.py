"""What the names in a function's code stand for, as far as that can be told without running it."""

import ast
import dis
import inspect
import sys
import types
import typing
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, cast

_BY_NAME = {"__import__", "eval", "exec", "globals", "import_module"}
"""Where code uses these, what it reaches is not to be seen."""
_MISSING = object()


class CannotTell(Exception):
    """A signal's name may be made in a way that the code does not show."""


class FunctionScope:
    """The names in a function's code, and in the functions within it."""

    def __init__(self, function: FunctionType) -> None:
        self.code = function.__code__
        self._function = function
        self.closure = dict(_contents(function.__code__.co_freevars, function.__closure__ or ()))
        self._globals = function.__globals__
        self._codes = list(_within(function.__code__))
        self._locals = {name for code in self._codes for name in (*code.co_varnames, *code.co_cellvars)}

    def values(self) -> Iterator[Any]:
        """All that the code names: globals, what it closes over, and of modules what it takes out of them."""
        names = {name for code in self._codes for name in code.co_names}
        if hidden := sorted(names & _BY_NAME):
            raise CannotTell(f"{self.code.co_name} uses {hidden[0]}")
        found = [self._globals[name] for name in names if name in self._globals] + list(self.closure.values())
        found += [module for code in self._codes for module in self._imported(code)]
        modules: set[str] = set()
        while found:
            value = found.pop()
            yield value
            if isinstance(value, ModuleType) and value.__name__ not in modules:
                modules.add(value.__name__)
                found += [attribute for name, attribute in list(vars(value).items()) if name in names]

    def _imported(self, code: CodeType) -> Iterator[ModuleType]:
        for instruction in dis.get_instructions(code):
            if instruction.opname != "IMPORT_NAME":
                continue
            name = instruction.argval
            found = sys.modules.get(name) or sys.modules.get(f"{self._globals.get('__package__')}.{name}".rstrip("."))
            if found is not None:
                yield found
            elif name.partition(".")[0] not in sys.stdlib_module_names:
                raise CannotTell(f"{name} is not imported yet")

    def hinted(self) -> Iterator[Any]:
        """What the annotations name: the arguments may have methods."""
        yield from hinted(self._function, self._globals)

    def value(self, node: ast.AST) -> Any:
        """What a name, or an attribute of a module or a class, stands for; _MISSING where it is not plain."""
        if isinstance(node, ast.Name):
            found = self.closure.get(node.id, self._globals.get(node.id, _MISSING))
            if node.id not in self._locals:
                return found
            if issubclass(type(found), type):
                raise CannotTell(f"{node.id} is a local name, too")
        elif isinstance(node, ast.Attribute):
            holder = self.value(node.value)
            if isinstance(holder, ModuleType | type):
                return getattr(holder, node.attr, _MISSING)
        return _MISSING


def hinted(thing: Any, namespace: dict[str, Any]) -> Iterator[Any]:
    """The classes in the annotations of a function or a class, and in what these are made of."""
    holder = types.SimpleNamespace(__annotations__=inspect.get_annotations(thing))
    try:
        left: list[Any] = list(typing.get_type_hints(holder, globalns=namespace).values())
    except Exception as error:
        raise CannotTell(f"an annotation of {thing.__qualname__} means nothing: {error}") from None
    while left:
        hint = left.pop()
        if isinstance(hint, list):  # the arguments of a Callable
            left += cast("list[Any]", hint)
            continue
        left += typing.get_args(hint) or getattr(hint, "__pydantic_generic_metadata__", {}).get("args", ())
        if issubclass(type(hint), type):
            yield hint


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _within(constant)


def _contents(names: tuple[str, ...], cells: tuple[CellType, ...]) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(names, cells, strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue

"""Steps: plain functions, and what their annotations say of their arguments and signals."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NotRequired, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from agent_tasks import payloads
from agent_tasks.errors import InvalidInput
from agent_tasks.functions import is_async, is_generator
from agent_tasks.outcomes import Signal
from agent_tasks.retries import Retry

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
"""Of an agent or a step."""
_INJECTED = ("children", "signal")
_NEVER_NAN = (int, str, bool, type(None))


@dataclass(frozen=True)
class Step:
    """One step of an agent: a plain function and how it is run."""

    agent: str
    name: str
    function: Callable[..., Any]
    retry: Retry
    undo: Callable[..., Any] | None = None
    undoes: str | None = None
    """The step whose undo this is; it is called with what it declares of that step's arguments and next state."""
    is_async: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_async", is_async(self.function))

    @property
    def task_name(self) -> str:
        return f"{self.agent}.{self.name}"

    @cached_property
    def wants(self) -> frozenset[str]:
        """Which of `children` and `signal` the function declares."""
        return frozenset(_INJECTED) & set(inspect.signature(self.function).parameters)

    @cached_property
    def _reserved(self) -> frozenset[str]:
        """Arguments that no input may set: the context's, and those that the system injects here."""
        return self.wants | {next(iter(inspect.signature(self.function).parameters))}

    @cached_property
    def arguments(self) -> TypeAdapter[dict[str, Any]]:
        """The validator of the step's arguments, from the function's annotations."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        hints = _hints(self.function, {parameter.name for parameter in parameters})
        fields: dict[str, Any] = {}
        extra = "forbid" if self.undoes is None else "ignore"
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                extra = "allow"
            elif parameter.name not in _INJECTED:
                hint = hints.get(parameter.name, Any)
                fields[parameter.name] = hint if parameter.default is parameter.empty else NotRequired[hint]
        shape = TypedDict(f"{self.task_name} arguments", fields)  # type: ignore[misc]
        shape.__pydantic_config__ = ConfigDict(extra=extra, arbitrary_types_allowed=True)  # type: ignore[attr-defined]
        return cast("TypeAdapter[dict[str, Any]]", TypeAdapter(shape))

    @cached_property
    def signal_type(self) -> "TypeAdapter[Any] | None":
        """The validator of the `signal` that the step declares; None where it declares none."""
        if "signal" not in self.wants:
            return None
        hint = _hints(self.function, {"signal"}).get("signal", Any)
        return TypeAdapter(Signal | None if hint is Any else hint)

    @cached_property
    def payload_type(self) -> "TypeAdapter[Any] | None":
        """The validator of a signal's payload, from `signal: Signal[Payload]`; None where any will do."""
        hint = _hints(self.function, {"signal"}).get("signal") if "signal" in self.wants else None
        for candidate in _parts(hint):
            arguments = getattr(candidate, "__pydantic_generic_metadata__", {}).get("args", ())
            if isinstance(candidate, type) and issubclass(candidate, Signal) and arguments:
                return TypeAdapter(arguments[0])
        return None

    def refusal(self, payload: Any) -> str | None:
        """Why the step does not accept a signal with this payload; None where it does."""
        if self.payload_type is None:
            return None
        try:
            self.payload_type.validate_python(payload)
        except ValidationError as error:
            first = error.errors()[0]
            return f"{'.'.join(['payload', *map(str, first['loc'])])}: {first['msg']}"
        return None

    def handed_signal(self, found: Sequence[Mapping[str, Any]], *, every: bool) -> Any:
        """The value of `signal`: one Signal, or with `every` a dict of them by name; None where none came."""
        assert self.signal_type is not None
        value = None if not found else {s["name"]: Signal(**s) for s in found} if every else Signal(**found[0])
        try:
            return self.signal_type.validate_python(to_jsonable_python(value))
        except ValidationError as error:
            raise self._invalid(error) from None

    def validate(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments to call the function with. Raises InvalidInput that names the field."""
        if taken := sorted(self._reserved & set(state)):
            raise InvalidInput(f"{self.task_name} is given {taken[0]!r} by the system, not as input", field=taken[0])
        try:
            return self.arguments.validate_python(dict(state))
        except ValidationError as error:
            raise self._invalid(error) from None

    def canonical(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """`state` validated and in its JSON form, as it is stored. Raises InvalidInput that names the field."""
        arguments = self.validate(state)
        try:
            if not all(type(value) in _NEVER_NAN for value in arguments.values()):
                payloads.refuse_nan(arguments, "input")  # pydantic would make it null without a word
            return self.arguments.dump_python(arguments, mode="json", warnings=False)
        except InvalidInput:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            payloads.encode(arguments, "input")  # names the field
            raise InvalidInput(f"The input of {self.task_name} has no JSON form: {error}", field="input") from None

    def _invalid(self, error: ValidationError) -> InvalidInput:
        problems = [{"field": ".".join(map(str, e["loc"])), "problem": e["msg"]} for e in error.errors()]
        first = problems[0]
        return InvalidInput(
            f"{self.task_name} does not accept its input: {first['field']}: {first['problem']}"
            + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""),
            field=first["field"],
            problems=problems,
        )


def _parts(hint: Any) -> list[Any]:
    """`hint` and, of a union or a dict, what it is made of."""
    return [hint, *(part for argument in typing.get_args(hint) for part in _parts(argument))]


def unusable(function: Callable[..., Any]) -> str | None:
    """Why a function cannot be called as a step: the context comes first, everything else by name."""
    if not callable(function):
        return "it is not a function"
    if is_generator(function):
        return "it is a generator: a step returns what happens next, it does not yield"
    parameters = list(inspect.signature(function).parameters.values())
    if parameters and parameters[0].name == "self":
        return "it is a method without its object: declare it with the object, as in `agent.step(self.begin)`"
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        return "its first parameter must be the context"
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            return f"its arguments are given by name, and {parameter.name!r} takes none"
    return None


def _hints(function: Callable[..., Any], names: set[str]) -> dict[str, Any]:
    """The annotations of these parameters only: the context's may be known to type checkers alone."""
    plain = inspect.unwrap(function)
    annotations = {name: hint for name, hint in getattr(plain, "__annotations__", {}).items() if name in names}
    holder = types.SimpleNamespace(__annotations__=annotations)
    return typing.get_type_hints(holder, globalns=getattr(plain, "__globals__", {}), include_extras=True)

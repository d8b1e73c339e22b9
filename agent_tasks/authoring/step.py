"""Steps: plain functions, and what their annotations say about their arguments and signals."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, NotRequired, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python
from typing_extensions import TypedDict

from agent_tasks.authoring.acceptance import accepted_types
from agent_tasks.authoring.functions import is_async, is_generator
from agent_tasks.authoring.handed import Signal
from agent_tasks.authoring.retry import Retry
from agent_tasks.errors import AgentTaskError, InvalidInput, StepFailed, SuggestedAction, text_of
from agent_tasks.task import payloads
from agent_tasks.task.shapes import Shape

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
"""The valid names of agents and steps."""
_INJECTED = ("children", "signal")
_OTHER = ("missing", "extra_forbidden")
"""The names by which pydantic reports a missing argument, and one that is not the function's."""


class OtherArguments(InvalidInput):
    """An argument is missing or unknown: the code of another release may take these arguments."""


class StateNotMigrated(StepFailed):
    """The step's `migrate_state` did not take the state that was recorded: another release may."""

    suggested_action = SuggestedAction.RESUME


@dataclass(frozen=True)
class Step:
    """One step of an agent: a plain function and how it is run."""

    agent: str
    name: str
    function: Callable[..., Any]
    retry: Retry
    undo: Callable[..., Any] | None = None
    undoes: str | None = None
    """The step whose undo this is; it is called with those of that step's arguments and next state that it declares."""
    migrate_state: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Makes the state that this step takes of one that an earlier release recorded."""
    now: str | None = None
    """The name that the step has now, where `name` is one that it had in an earlier release."""
    is_async: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_async", is_async(self.function))

    @property
    def task_name(self) -> str:
        return f"{self.agent}.{self.name}"

    @cached_property
    def wants(self) -> frozenset[str]:
        """The injected arguments, `children` and `signal`, that the function declares."""
        return frozenset(_INJECTED) & set(inspect.signature(self.function).parameters)

    @cached_property
    def _reserved(self) -> frozenset[str]:
        """The arguments that no input may set: the context, and those that the system injects here."""
        return self.wants | {next(iter(inspect.signature(self.function).parameters))}

    @cached_property
    def signature(self) -> str:
        """The arguments that the function takes, the optional ones with a question mark."""
        taken = []
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                taken.append("**")
            elif parameter.name not in _INJECTED:
                default = self._defaults.get(parameter.name)
                is_required = parameter.default is parameter.empty if default is None else default.is_required()
                taken.append(parameter.name if is_required else f"{parameter.name}?")
        return " ".join([*sorted(taken), *(["+migrate_state"] if self.migrate_state is not None else [])])

    @cached_property
    def accepted(self) -> dict[str, frozenset[str]] | None:
        """The JSON types of which each argument takes every value; None where only a whole state tells."""
        hints = _hints(self.function, set(inspect.signature(self.function).parameters) - self._reserved)
        if (
            self.migrate_state is not None
            or self._defaults
            or any(typing.get_origin(h) is Annotated for h in hints.values())
        ):
            return None
        names = [p.name for p in inspect.signature(self.function).parameters.values() if p.kind is not p.VAR_KEYWORD]
        return {name: accepted_types(hints.get(name, Any)) for name in names if name not in self._reserved}

    @cached_property
    def has_made_defaults(self) -> bool:
        """Whether a default of an argument, or one within it, is made anew each time."""
        return self._shape.has_made_defaults or any(field.default_factory for field in self._defaults.values())

    @property
    def arguments(self) -> TypeAdapter[dict[str, Any]]:
        """The validator of the step's arguments, from the function's annotations."""
        return self._shape.adapter

    @cached_property
    def _defaults(self) -> dict[str, FieldInfo]:
        """The defaults that are pydantic's `Field(default=…)`."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if isinstance(p.default, FieldInfo)}

    @cached_property
    def _shape(self) -> Shape:
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        hints = _hints(self.function, {parameter.name for parameter in parameters})
        types: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        extra = "forbid" if self.undoes is None else "ignore"
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                extra = "allow"
            elif parameter.name not in _INJECTED:
                types[parameter.name] = hint = hints.get(parameter.name, Any)
                is_required = parameter.default is parameter.empty
                if (field := self._defaults.get(parameter.name)) is not None:
                    hint, is_required = Annotated[hint, _without_default(field)], field.is_required()
                fields[parameter.name] = hint if is_required else NotRequired[hint]
        shape = TypedDict(f"{self.task_name} arguments", fields)  # type: ignore[misc]
        shape.__pydantic_config__ = ConfigDict(extra=extra, arbitrary_types_allowed=True)  # type: ignore[attr-defined]
        return Shape(shape, types)

    @cached_property
    def signal_type(self) -> Shape | None:
        """The type of the `signal` that the step declares; None if it declares none."""
        if "signal" not in self.wants:
            return None
        hint = _hints(self.function, {"signal"}).get("signal", Any)
        return Shape(Signal | None if hint is Any else hint)

    @cached_property
    def payload_type(self) -> Shape | None:
        """The type of a signal's payload, from `signal: Signal[Payload]`; None if any will do."""
        hint = _hints(self.function, {"signal"}).get("signal") if "signal" in self.wants else None
        for candidate in _parts(hint):
            arguments = getattr(candidate, "__pydantic_generic_metadata__", {}).get("args", ())
            if isinstance(candidate, type) and issubclass(candidate, Signal) and arguments:
                return Shape(arguments[0])
        return None

    def refusal(self, payload: Any) -> str | None:
        """Return why the step does not accept a signal with this payload, which is JSON; None if it does."""
        if self.payload_type is None:
            return None
        try:
            self.payload_type.read(payload)
        except ValidationError as error:
            first = error.errors()[0]
            return f"{'.'.join(['payload', *map(str, first['loc'])])}: {first['msg']}"
        return None

    def handed_signal(self, found: Sequence[Mapping[str, Any]], *, every: bool) -> Any:
        """Return the value of `signal`: one Signal, or with `every` a dict of them by name; None if none came."""
        assert self.signal_type is not None
        value = None if not found else {s["name"]: Signal(**s) for s in found} if every else Signal(**found[0])
        try:
            return self.signal_type.read(to_jsonable_python(value))
        except ValidationError as error:
            raise self._invalid(error) from None

    def bind(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments to call the function with, from a state that some release has recorded.

        Raises what `validate` and `migrated` raise.
        """
        return self.validate(self.migrated(state))

    def migrated(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a recorded state as this release has it: by `migrate_state` where it was recorded under a former
        name of the step, or does not fit. Raises StateNotMigrated.

        An undo is given two states in one, so what `migrate_state` leaves out is kept for it.
        """
        if self.migrate_state is None or (self.now is None and self._fits(state)):
            return state
        try:
            made: Any = self.migrate_state(dict(state))
        except Exception as error:
            raise self._not_migrated(f"{type(error).__name__}: {text_of(error)}") from error
        if not isinstance(made, Mapping):
            raise self._not_migrated(f"it returned {type(made).__name__}, not a dict of the step's arguments")
        return {**state, **made} if self.undoes is not None else dict(cast("Mapping[str, Any]", made))

    def _fits(self, state: Mapping[str, Any]) -> bool:
        try:
            self.validate(state)
        except InvalidInput:
            return False
        return True

    def _not_migrated(self, why: str) -> StateNotMigrated:
        return StateNotMigrated(
            f"The migrate_state of {self.task_name} did not take the recorded state: {why.rstrip('.')}. Deploy a "
            "release whose migrate_state takes it, then resume the task.",
            step=self.name,
        )

    def validate(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments to call the function with, from JSON. Raises InvalidInput that names the field."""
        try:
            return self._shape.read(self._given(state))
        except ValidationError as error:
            raise self._invalid(error) from None

    def write(
        self,
        state: Mapping[str, Any],
        what: str = "input",
        *,
        limit: int = payloads.DEFAULT_LIMIT,
        error: type[AgentTaskError] = InvalidInput,
    ) -> tuple[str, dict[str, Any]]:
        """Return `state` as the JSON text to keep, and the arguments that `validate` will make of it.

        Raises InvalidInput that names the field, PayloadTooLarge, and `error` for a value that would not come back.
        """
        try:
            return self._shape.write(self._given(state), what, limit=limit, error=error)
        except ValidationError as problem:
            raise self._invalid(problem) from None

    def _given(self, state: Mapping[str, Any]) -> dict[str, Any]:
        if not self._reserved.isdisjoint(state):
            taken = min(self._reserved & set(state))
            raise InvalidInput(f"{self.task_name} gets {taken!r} from the system: leave it out", field=taken)
        if not self._defaults:
            return dict(state)
        missing = {
            name: field.get_default(call_default_factory=True)
            for name, field in self._defaults.items()
            if name not in state and field.alias not in state and not field.is_required()
        }
        return {**state, **missing}

    def _invalid(self, error: ValidationError) -> InvalidInput:
        problems = [{"field": ".".join(map(str, e["loc"])), "problem": e["msg"]} for e in error.errors()]
        first = problems[0]
        is_another = any(e["type"] in _OTHER and len(e["loc"]) == 1 for e in error.errors())
        return (OtherArguments if is_another else InvalidInput)(
            f"{self.task_name} does not accept its input: {first['field']}: {first['problem']}"
            + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""),
            field=first["field"],
            problems=problems,
        )


def _without_default(field: FieldInfo) -> FieldInfo:
    bare = copy(field)
    bare.default, bare.default_factory = PydanticUndefined, None
    return bare


def _parts(hint: Any) -> list[Any]:
    """Return `hint` and, if it is a union or a dict, its parts."""
    return [hint, *(part for argument in typing.get_args(hint) for part in _parts(argument))]


def unusable(function: Callable[..., Any]) -> str | None:
    """Return why a function cannot be a step: it must take the context first, everything else by name."""
    if not callable(function):
        return "it is not a function"
    if is_generator(function):
        return "it is a generator: a step returns what happens next, it does not yield"
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return "Python does not know its parameters: call it from a function of your own"
    if parameters and parameters[0].name == "self":
        return "it is a method without its object: declare it with the object, as in `agent.step(self.begin)`"
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        return "its first parameter must be the context"
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            return f"its arguments are given by name, which {parameter.name!r} does not allow"
    return None


def _hints(function: Callable[..., Any], names: set[str]) -> dict[str, Any]:
    """Return the annotations of these parameters only: the context's may be known to type checkers alone."""
    plain = inspect.unwrap(function)
    annotations = {name: hint for name, hint in getattr(plain, "__annotations__", {}).items() if name in names}
    holder = types.SimpleNamespace(__annotations__=annotations)
    return typing.get_type_hints(holder, globalns=getattr(plain, "__globals__", {}), include_extras=True)

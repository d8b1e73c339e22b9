"""Agents and their steps: declared in modules, found by workers under `agent.step` names."""

import importlib
import inspect
import logging
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, NotRequired, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from agent_tasks import payloads
from agent_tasks.budgets import Budget
from agent_tasks.directives import StepRef, all_names
from agent_tasks.errors import AgentTaskError, InvalidInput, UnknownAgent
from agent_tasks.outcomes import Signal
from agent_tasks.retries import Retry
from agent_tasks.wait_names import wait_names

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
LONGEST_TTL = 10 * 365 * 86_400.0
_UNDO_RETRY = Retry(attempts=5)
_INJECTED = ("children", "signal")
_NEVER_NAN = (int, str, bool, type(None))
_registry: dict[str, "Agent"] = {}


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
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.function))

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


class Agent:
    """An agent: a name, defaults, and steps. The first step declared is where a task starts.

    `budget` applies where submit names none, field by field. `sensitive=True`: recorded input and state are
    purged when a task is given up as an orphan, and its result is not mirrored to Redis. `queue` and `ttl`
    (seconds) are defaults for submit. `signals` names all that its steps ever wait for: others are then refused.
    Needed only where their code does not show it.

    Raises InvalidInput for a name that is not usable, or that another module has taken.
    """

    def __init__(
        self,
        name: str,
        *,
        budget: Budget | None = None,
        sensitive: bool = False,
        queue: str | None = None,
        ttl: float | None = None,
        signals: Sequence[str] | None = None,
        _module: str | None = None,
    ) -> None:
        if not _NAME.match(name):
            raise InvalidInput(
                f"{name!r} is no name for an agent: use 1 to 64 letters, digits, '_' and '-', a letter first",
                field="name",
            )
        self.name = name
        self.budget = budget
        self.sensitive = sensitive
        self.queue = queue
        self.ttl = ttl
        names = [signals] if isinstance(signals, str) else signals
        if names is not None and not all_names(names):
            raise InvalidInput("Agent(signals=) takes names of 1 to 128 characters", field="signals")
        self.signals = None if names is None else frozenset(names)
        self.steps: dict[str, Step] = {}
        self.module = _module or sys._getframe(1).f_globals.get("__name__", "?")  # pyright: ignore
        taken = _registry.get(name)
        if taken is not None and taken.module != self.module:
            raise InvalidInput(
                f"Two agents are named {name!r}: in {taken.module} and in {self.module}. Rename one.",
                field="name",
            )
        given: Any = ttl
        if given is not None and not (type(given) in (int, float) and 0 < given <= LONGEST_TTL):
            raise InvalidInput(f"Agent(ttl=) is seconds, above zero and at most ten years, not {ttl!r}", field="ttl")
        _registry[name] = self

    def step(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        undo: Callable[..., Any] | None = None,
    ) -> Any:
        """Declare a step; the function itself is returned, so that it can be called in a unit test."""

        def declare(function: F) -> F:
            step = Step(self.name, name or function.__name__, function, retry or Retry(), undo)
            if not _NAME.match(step.name):
                raise InvalidInput(f"{step.name!r} is no name for a step", field="name")
            if problem := _unusable(function):
                raise InvalidInput(f"{step.task_name} cannot be a step: {problem}", field=step.name)
            if undo is not None and (problem := _unusable(undo)):
                raise InvalidInput(f"The undo of {step.task_name} cannot be one: {problem}", field="undo")
            if step.name in self.steps:
                raise InvalidInput(f"{self.name} has two steps named {step.name!r}. Rename one.", field="name")
            self.steps[step.name] = step
            self.__dict__.pop("waits_for", None)
            return function

        return declare if function is None else declare(function)

    @property
    def first_step(self) -> Step:
        if not self.steps:
            raise InvalidInput(f"Agent {self.name!r} has no steps: decorate a function with @{self.name}.step")
        return next(iter(self.steps.values()))

    @cached_property
    def waits_for(self) -> frozenset[str] | None:
        """The names of all signals that its steps ever wait for; None where neither it nor its code says so."""
        if self.signals is not None:
            return self.signals
        return wait_names(step.function for step in self.steps.values())

    @property
    def runnable(self) -> dict[str, Step]:
        """All that a worker can run: the steps, and the undo of each that has one, by name."""
        undos = {
            f"undo:{step.name}": Step(self.name, f"undo:{step.name}", step.undo, _UNDO_RETRY, undoes=step.name)
            for step in self.steps.values()
            if step.undo is not None
        }
        return self.steps | undos

    def find_step(self, reference: StepRef, error: type[AgentTaskError] = InvalidInput) -> Step:
        """The step that `reference` names. Raises `error` that lists the steps there are."""
        if isinstance(reference, str):
            found = self.steps.get(reference)
        else:
            found = next((s for s in self.steps.values() if s.function is reference), None)
        if found is None:
            name = reference if isinstance(reference, str) else getattr(reference, "__name__", repr(reference))
            raise error(
                f"Agent {self.name!r} has no step {name!r}; it has {', '.join(self.steps) or 'none'}.",
                step=name,
                steps=list(self.steps),
            )
        return found

    def __repr__(self) -> str:
        return f"Agent({self.name!r}, steps={list(self.steps)})"


def _parts(hint: Any) -> list[Any]:
    """`hint` and, of a union or a dict, what it is made of."""
    return [hint, *(part for argument in typing.get_args(hint) for part in _parts(argument))]


def agent(
    name: str,
    *,
    budget: Budget | None = None,
    sensitive: bool = False,
    queue: str | None = None,
    ttl: float | None = None,
    retry: Retry | None = None,
) -> Callable[[F], F]:
    """A one-function agent: `@agent("name")` over `async def f(ctx, ...)`."""
    module = sys._getframe(1).f_globals.get("__name__", "?")  # pyright: ignore[reportPrivateUsage]

    def declare(function: F) -> F:
        made = Agent(name, budget=budget, sensitive=sensitive, queue=queue, ttl=ttl, _module=module)
        return made.step(function, retry=retry)

    return declare


def _unusable(function: Callable[..., Any]) -> str | None:
    """Why a function cannot be called as a step: the context comes first, everything else by name."""
    if not callable(function):
        return "it is no function"
    parameters = list(inspect.signature(function).parameters.values())
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


def find_agent(name: str) -> Agent:
    """The agent of this name. Raises UnknownAgent that lists those loaded."""
    try:
        return _registry[name]
    except KeyError:
        raise UnknownAgent(
            f"No agent named {name!r} is loaded here; loaded: {', '.join(sorted(_registry)) or 'none'}. Import its "
            "module, or name the module in AGENT_TASKS_AGENTS.",
            agent=name,
        ) from None


def loaded_agents() -> dict[str, Agent]:
    return dict(_registry)


def load_agents(modules: tuple[str, ...]) -> dict[str, Exception]:
    """Import `modules` and the entry points of the group `agent_tasks.agents`; returns what failed, by name."""
    failed: dict[str, Exception] = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            failed[module] = error
            log.exception("agents could not be loaded: module=%s", module)
    for entry in entry_points(group="agent_tasks.agents"):
        try:
            entry.load()
        except Exception as error:
            failed[entry.value] = error
            log.exception("agents could not be loaded: entry_point=%s value=%s", entry.name, entry.value)
    return failed


def input_mapping(value: Any) -> Mapping[str, Any]:
    """The input of a submit as a mapping of arguments. Raises InvalidInput for anything else."""
    if value is None:
        return {}
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):  # pyright: ignore
        return cast(Mapping[str, Any], value)
    raise InvalidInput(
        f"The input must be a mapping of the first step's arguments, not {type(value).__name__}",
        field="input",
    )


def checked_against(schema: dict[str, Any] | None, value: dict[str, Any], agent: str) -> dict[str, Any]:
    """`value`, where it is valid by the JSON schema that a worker registered; that worker checks it in full.

    Raises InvalidInput that names the field.
    """
    if schema is None:
        return value
    from jsonschema import Draft202012Validator  # a fifth of a second that few programs need
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(to_jsonable_python(value)))
    if error is not None:
        field = ".".join(map(str, error.absolute_path)) or "input"
        raise InvalidInput(f"{agent} does not accept its input: {field}: {error.message}", field=field)
    return value

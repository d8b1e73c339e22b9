"""Agents: modules declare them, and workers find them by the names of their steps."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, cast, get_args, overload

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from agent_tasks.authoring.a2a_skill import UNSAID, A2ASkill
from agent_tasks.authoring.declaration import Declaration
from agent_tasks.authoring.directives import StepRef
from agent_tasks.authoring.functions import is_async, is_same, name_of
from agent_tasks.authoring.mcp_tool import McpTool
from agent_tasks.authoring.permissions import ANY, Declared, Tool, Tools
from agent_tasks.authoring.retry import Retry
from agent_tasks.authoring.step import NAME, Step, unusable
from agent_tasks.errors import AgentTaskError, InvalidInput, UnknownAgent
from agent_tasks.task.arguments import (
    LONGEST_SIGNAL,
    check_flag,
    check_kind,
    check_queue,
    check_text,
    check_ttl,
    refused,
    shown,
)
from agent_tasks.task.budget import Budget

F = TypeVar("F", bound=Callable[..., Any])
ModeName = Literal["async", "sync", "auto"]
Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""A function that makes, of a state that an earlier release recorded, what the step takes now."""
_MODES: tuple[ModeName, ...] = get_args(ModeName)
_UNDO_RETRY = Retry(attempts=5)
_TOOL = McpTool()
_registry: dict[str, "Agent"] = {}


class Agent:
    """An agent: a name, defaults, and steps. The first step declared is where a task starts.

    `budget` applies, field by field, where submit sets no limit. `sensitive=True`: recorded input and state are
    purged when a task is given up as an orphan, and its result is not mirrored to Redis. `queue` and `ttl`
    (seconds) are defaults for submit. `retention` (seconds or timedelta): how long its task trees are kept after
    they end, by default AGENT_TASKS_RETENTION_SECONDS. `signals` names every signal that its steps wait for, so that
    a misspelt one is refused; without it a signal of any name is kept for the task. `goal` says what the agent is for.
    `tools` are the functions, or their names, that `ctx.call` may be given; by default any. `scopes` are those an
    identity needs to run it, at submit and whenever a step begins; a program without an identity is trusted. `mode`
    says whether a submit over HTTP that does not say so itself is answered at once (`async`), with the result (`sync`),
    or as seems best (`auto`); `mode_hints` are words and phrases of an input with which `auto` does not wait. `a2a` is
    what it says of itself over A2A; None hides it there. `mcp` is the tool that it is to hosts of the Model Context
    Protocol; None: it is none.

    Raises InvalidInput for a name that is not valid, or that another agent has taken.
    """

    is_own = False
    """Whether it is the system's own: it works for steps of other agents, is not listed, and cannot be submitted."""

    def __init__(
        self,
        name: str,
        *,
        budget: Budget | None = None,
        sensitive: bool = False,
        queue: str | None = None,
        ttl: float | None = None,
        retention: float | timedelta | None = None,
        signals: Sequence[str] | None = None,
        goal: str | None = None,
        tools: "Sequence[Tool] | Literal['*']" = ANY,
        scopes: Sequence[str] = (),
        mode: ModeName = "async",
        mode_hints: Sequence[str] = (),
        a2a: A2ASkill | None = UNSAID,
        mcp: McpTool | None = _TOOL,
        _declared: "Declaration | None" = None,
    ) -> None:
        _check_name(name, "an agent", "")
        check_kind(budget, "budget", Budget, "a Budget(seconds=..., tokens=..., ...)")
        check_flag(sensitive, "sensitive")
        check_queue(queue)
        check_ttl(ttl)
        self.retention = retention.total_seconds() if isinstance(retention, timedelta) else retention
        check_ttl(self.retention, "retention")
        self.name = name
        self.budget = budget
        self.sensitive = sensitive
        self.queue = queue
        self.ttl = ttl
        self.signals = None if signals is None else frozenset(_texts(signals, "signals", LONGEST_SIGNAL))
        if goal is not None:
            check_text(goal, "goal", 2000)
        self.goal = goal
        self.tools = Tools(tools)
        self.scopes = _texts(scopes, "scopes", 256)
        if mode not in _MODES:
            raise refused(f"mode must be one of {', '.join(_MODES)}", mode, "mode")
        self.mode: ModeName = mode
        self.mode_hints = _texts(mode_hints, "mode_hints", 200)
        if not all(map(str.strip, self.mode_hints)):
            raise InvalidInput("mode_hints must be words and phrases, not white space", field="mode_hints")
        check_kind(a2a, "a2a", A2ASkill, "an A2ASkill(...), or None to be hidden")
        self.a2a = a2a
        check_kind(mcp, "mcp", McpTool, "an McpTool(...), or None to be hidden")
        self.mcp = mcp
        self.steps: dict[str, Step] = {}
        self.former: dict[str, Step] = {}
        """The steps by the names that they had in earlier releases."""
        self.declared = _declared or Declaration.of(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        if (taken := _registry.get(name)) is not None and (where := self.declared.clashes(taken.declared)):
            raise InvalidInput(f"Two agents are named {name!r}: {where}. Rename one.", field="name")
        _registry[name] = self

    @overload
    def step(
        self,
        function: F,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        undo: Callable[..., Any] | None = None,
        was: Sequence[str] = (),
        migrate_state: Migration | None = None,
    ) -> F: ...

    @overload
    def step(
        self,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        undo: Callable[..., Any] | None = None,
        was: Sequence[str] = (),
        migrate_state: Migration | None = None,
    ) -> Callable[[F], F]: ...

    def step(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        undo: Callable[..., Any] | None = None,
        was: Sequence[str] = (),
        migrate_state: Migration | None = None,
    ) -> Any:
        """Declare a step: `@agent.step`, or with options `@agent.step(retry=Retry(attempts=5))`.

        `name` is the function's own unless given. `retry` says when a failed step is tried again; without it, never.
        `undo` takes back what the step did, where the task later fails, is cancelled or runs out of budget. `was` are
        the names that the step had in earlier releases: tasks that are at one of them go on here. `migrate_state`
        makes the arguments of a state that an earlier release recorded: one under such a name, or one that the step
        does not accept. Returns the function itself, so that a unit test can call it. Raises InvalidInput for a
        function that cannot be a step, or a name that is taken.
        """

        def declare(function: F) -> F:
            called = name_of(function) if name is None else name
            check_kind(retry, "retry", Retry, "a Retry(attempts=...)")
            if problem := unusable(function):
                raise InvalidInput(f"{self.name}.{called} cannot be a step: {problem}", field=called)
            if migrate_state is not None and (not callable(migrate_state) or is_async(migrate_state)):  # pyright: ignore[reportUnnecessaryComparison]
                raise refused("migrate_state must be a plain function of a state", migrate_state, "migrate_state")
            step = Step(self.name, called, function, retry or Retry(), undo, migrate_state=migrate_state)
            former = {name: replace(step, name=name, now=called) for name in _texts(was, "was", 64)}
            if undo is not None and (problem := unusable(undo)):
                raise InvalidInput(f"The undo of {step.task_name} cannot be one: {problem}", field="undo")
            for one in (called, *former):
                _check_name(one, "a step", ", as in step(name='begin')" if one == called else "")
                if one in self.steps or one in self.former or (one == called and one in former):
                    raise InvalidInput(f"{self.name} has two steps named {one!r}. Rename one.", field="name")
            self.steps[step.name] = step
            self.former |= former
            return function

        return declare if function is None else declare(function)

    @property
    def says(self) -> Declared:
        """The agent's goal, tools and scopes, to show."""
        return Declared(self.goal, self.tools.names, self.scopes)

    @property
    def module(self) -> str:
        """The name of the module that declares it."""
        return self.declared.module

    @property
    def first_step(self) -> Step:
        if not self.steps:
            raise InvalidInput(f"Agent {self.name!r} has no steps: decorate a function with @{self.name}.step")
        return next(iter(self.steps.values()))

    @property
    def runnable(self) -> dict[str, Step]:
        """All that a worker can run, by name: the steps, also by former names, and the undo of each that has one."""
        undos = {
            f"undo:{step.name}": Step(
                self.name,
                f"undo:{step.name}",
                step.undo,
                _UNDO_RETRY,
                undoes=step.name,
                migrate_state=step.migrate_state,
                now=step.now and f"undo:{step.now}",
            )
            for step in [*self.steps.values(), *self.former.values()]
            if step.undo is not None
        }
        return self.steps | self.former | undos

    def at(self, name: str) -> Step | None:
        """Return the step that a task is at, by its name or a former one; None where there is none."""
        return self.steps.get(name) or self.former.get(name)

    def find_step(self, reference: StepRef, error: type[AgentTaskError] = InvalidInput) -> Step:
        """Return the step that `reference` names. Raises `error`, which lists the known steps."""
        if isinstance(reference, str):
            step = self.at(reference)
            found = [] if step is None else [self.steps[step.now or step.name]]
        else:
            found = [step for step in self.steps.values() if step.function == reference]
            found = found or [step for step in self.steps.values() if is_same(step.function, reference)]
        if len(found) == 1:
            return found[0]
        name = reference if isinstance(reference, str) else name_of(reference)
        known = ", ".join(self.steps) or "none"
        if found:
            said = f"Agent {self.name!r} has several steps of the function {name!r}: name one of {known}."
        elif name in self.steps:
            said = (
                f"Agent {self.name!r} has a step {name!r}, but of another function. Name the step as text, or "
                "decorate the function with functools.wraps."
            )
        else:
            said = f"Agent {self.name!r} has no step {name!r}; its steps are: {known}."
        raise error(said, step=name, steps=list(self.steps))

    def __repr__(self) -> str:
        return f"Agent({self.name!r}, steps={list(self.steps)})"


def agent(
    name: str,
    *,
    budget: Budget | None = None,
    sensitive: bool = False,
    queue: str | None = None,
    ttl: float | None = None,
    retention: float | timedelta | None = None,
    retry: Retry | None = None,
    goal: str | None = None,
    tools: "Sequence[Tool] | Literal['*']" = ANY,
    scopes: Sequence[str] = (),
    signals: Sequence[str] | None = None,
    mode: ModeName = "async",
    mode_hints: Sequence[str] = (),
    a2a: A2ASkill | None = UNSAID,
    mcp: McpTool | None = _TOOL,
    was: Sequence[str] = (),
    migrate_state: Migration | None = None,
) -> Callable[[F], F]:
    """Declare an agent of one function: `@agent("name")` over `async def f(ctx, ...)`.

    `retry`, `was` and `migrate_state` are those of its step; all else is as for `Agent`. Raises InvalidInput as
    `Agent` and `Agent.step` do.
    """
    declared = Declaration.of(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]

    def declare(function: F) -> F:
        made = Agent(
            name,
            budget=budget,
            sensitive=sensitive,
            queue=queue,
            ttl=ttl,
            retention=retention,
            goal=goal,
            tools=tools,
            scopes=scopes,
            signals=signals,
            mode=mode,
            mode_hints=mode_hints,
            a2a=a2a,
            mcp=mcp,
            _declared=declared,
        )
        return made.step(function, retry=retry, was=was, migrate_state=migrate_state)

    return declare


def _check_name(name: Any, what: str, how: str) -> None:
    if not isinstance(name, str) or not NAME.match(name):
        raise InvalidInput(
            f"{shown(name)} is no valid name for {what}: use 1 to 64 letters, digits, '_' and '-', a letter first{how}",
            field="name",
        )


def _texts(given: Any, field: str, most: int) -> tuple[str, ...]:
    """Return the texts of a collection, or a single text as a tuple of one. Raises InvalidInput."""
    texts: tuple[Any, ...] = tuple(given) if isinstance(given, list | tuple | set | frozenset) else (given,)  # pyright: ignore
    for text in texts:
        check_text(text, field, most)
    return texts


def find_agent(name: str) -> Agent:
    """Return the agent of this name. Raises UnknownAgent, which lists the loaded ones."""
    try:
        return _registry[name]
    except KeyError:
        raise UnknownAgent(
            f"No agent named {name!r} is loaded here; loaded: {', '.join(sorted(_registry)) or 'none'}. Import its "
            "module, or name the module in AGENT_TASKS_AGENTS.",
            agent=name,
        ) from None


def check_tool(agent: str, function: Callable[..., Any]) -> None:
    """Raise PermissionDenied if `function` is not among the tools that the agent declares."""
    if (found := _registry.get(agent)) is not None:
        found.tools.check(agent, function)


def is_tool(agent: str, function: Callable[..., Any]) -> bool:
    """Whether the agent names `function` among its tools."""
    return (found := _registry.get(agent)) is not None and found.tools.have(function)


def check_signal(agent: str, declared: Collection[str] | None, name: str) -> None:
    """Raise InvalidInput if the agent declares its signals and `name` is not one of them."""
    if declared is not None and name not in declared:
        known = ", ".join(sorted(declared)) or "none"
        raise InvalidInput(
            f"Agent {agent!r} takes no signal {name!r}; it declares {known}. Send one of those, or add the name to "
            f"Agent({agent!r}, signals=[...]).",
            field="name",
        )


def loaded_agents() -> dict[str, Agent]:
    """Return the agents that can be asked for, by name."""
    return {name: agent for name, agent in _registry.items() if not agent.is_own}


def served_agents() -> dict[str, Agent]:
    """Return all agents of which this process can run steps, the system's own among them."""
    return dict(_registry)


def loaded_steps() -> dict[str, Step]:
    """Return what this process can run, by the names of Celery's tasks."""
    return {step.task_name: step for agent in _registry.values() for step in agent.runnable.values()}


def input_mapping(value: Any) -> Mapping[str, Any]:
    """Return the input of a submit as a mapping of arguments. Raises InvalidInput for anything else."""
    if value is None:
        return {}
    if isinstance(value, BaseModel):
        return dict(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):  # pyright: ignore
        return cast(Mapping[str, Any], value)
    raise InvalidInput(
        f"The input must be a mapping of the first step's arguments, not {type(value).__name__}",
        field="input",
    )


def _problems(error: Any) -> Iterator[tuple[str, str]]:
    """Yield the fields that a jsonschema error is about, and what is wrong with each."""
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        unknown = [str(name) for name in cast(dict[str, Any], error.instance) if name not in known]
        yield from ((".".join([*path, name]), _unknown(name, known)) for name in unknown)
    elif error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        yield from ((".".join([*path, name]), "it is missing") for name in missing)
    else:
        yield ".".join(path) or "value", error.message


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    nearest = get_close_matches(name, list(known), 1)
    return f"there is no such argument{f'; did you mean {nearest[0]}?' if nearest else ''}"


def checked_against(
    schema: dict[str, Any] | None, value: dict[str, Any], agent: str, what: str = "input"
) -> dict[str, Any]:
    """Return `value` if it is valid by the JSON schema that a worker registered; that worker checks it in full.

    Raises InvalidInput that names the field.
    """
    if schema is None:
        return value
    from jsonschema import Draft202012Validator  # importing it takes a fifth of a second, and few programs need it
    from jsonschema.exceptions import by_relevance

    found = Draft202012Validator(schema).iter_errors(to_jsonable_python(value))
    errors: list[Any] = sorted(found, key=by_relevance(), reverse=True)
    errors.sort(key=lambda error: error.validator != "additionalProperties")  # a misspelt name explains a missing one
    problems = list(dict.fromkeys(problem for error in errors for problem in _problems(error)))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        field, said = problems[0]
        raise InvalidInput(f"{agent} does not accept this {what}: {field}: {said}{more}", field=field, problem=said)
    return value

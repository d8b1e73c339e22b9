"""Checking a request to run an agent, and making a task of it."""

import dataclasses
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import uuid_utils.compat as uuid_utils
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from agent_tasks.authoring import agent as agents
from agent_tasks.authoring.agent import Agent
from agent_tasks.authoring.loading import load_agents, why_not_loaded
from agent_tasks.authoring.permissions import Declared, check_scopes
from agent_tasks.authoring.step import NAME, Step
from agent_tasks.doorbell.routes import routed_queue
from agent_tasks.errors import InvalidInput, UnknownAgent
from agent_tasks.settings import Settings
from agent_tasks.store.database import Database
from agent_tasks.store.queries import catalog
from agent_tasks.task import payloads
from agent_tasks.task.arguments import check_flag, check_kind, check_priority, check_queue, check_ttl, refused, shown
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.target_url import check_target_url
from agent_tasks.task.trace import below, check_traceparent, current_traceparent, new_traceparent
from agent_tasks.transitions.submit import NewTask

log = logging.getLogger(__name__)
OPTIONS = {"identity", "session_id", "callback_url", "priority", "metadata"}
TaskInput = Mapping[str, Any] | BaseModel | None
"""The arguments of an agent's first step, by name."""


class ScheduleOptions(TypedDict, total=False):
    """The options of `submit` that `schedule` takes too."""

    identity: Identity | None
    session_id: str | None
    callback_url: str | None
    queue: str | None
    priority: int
    ttl: float | None
    metadata: dict[str, Any] | None


class SubmitOptions(ScheduleOptions, total=False):
    """The options of `submit` that `submit_many` takes too."""

    traceparent: str | None


@dataclass(frozen=True)
class Target:
    """The facts about an agent that submit needs, from its code or from a worker's registration."""

    name: str
    first_step: str
    budget: Budget | None
    sensitive: bool
    queue: str | None
    ttl: float | None
    retention: float | None
    write: Callable[[Any, int], str]
    """Writes an input as JSON text, up to a limit in bytes. Raises InvalidInput, PayloadTooLarge."""
    scopes: Sequence[str] = ()
    mode: agents.ModeName = "async"
    mode_hints: Sequence[str] = ()

    @property
    def usual_queue(self) -> str | None:
        """The queue of its tasks where submit names none: the agent's own, or the one that the installed app routes
        them to; None if there is neither."""
        return self.queue or routed_queue(f"{self.name}.{self.first_step}")


class Submission:
    """Finds agents and makes tasks of requests; the agents' modules are loaded at the first unknown name."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._lock = threading.Lock()
        self._loaded = False
        self._failed: dict[str, Exception] = {}

    def find_target(self, agent: str | Agent) -> Target:
        """Return the facts about an agent. Raises UnknownAgent if neither this process nor any worker knows it."""
        if not isinstance(agent, str | Agent):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise refused("agent must be an Agent or the name of one", agent, "agent")
        name = agent if isinstance(agent, str) else agent.name
        if name not in agents.loaded_agents():
            self.load_agents_once()
        try:
            found = agents.find_agent(name)
        except UnknownAgent:
            return self._registered(name)
        if found.is_own and isinstance(agent, str):
            return self._registered(name)  # which is unknown: it is there for steps, which hand it over itself
        first = found.first_step
        return Target(
            found.name,
            first.name,
            found.budget,
            found.sensitive,
            found.queue,
            found.ttl,
            found.retention,
            lambda value, limit: _written(first, value, limit),
            found.scopes,
            found.mode,
            found.mode_hints,
        )

    def new_task(
        self,
        target: Target,
        value: Any,
        budget: Budget | None,
        *,
        queue: str | None = None,
        ttl: float | None = None,
        sensitive: bool = False,
        traceparent: str | None = None,
        **options: Any,
    ) -> NewTask:
        """Make a task of a request. Raises InvalidInput that names the field, PayloadTooLarge, PermissionDenied."""
        limit = self._settings.payload_limit
        if unknown := sorted(set(options) - OPTIONS):
            raise InvalidInput(
                f"{unknown[0]}= is not an option; the options are {', '.join(sorted(OPTIONS))}", field=unknown[0]
            )
        self._check_options(queue=queue, ttl=ttl, **options)
        check_scopes(target.name, target.scopes, options.get("identity"))
        check_kind(budget, "budget", Budget, "a Budget(seconds=..., tokens=..., ...)")
        check_flag(sensitive, "sensitive")
        for name in ("identity", "session_id", "metadata"):
            encoded = payloads.encode(options.get(name), name, limit=limit)
            if name == "metadata" and options.get(name) is not None:
                options[name] = encoded
        id = uuid_utils.uuid7()
        above = current_traceparent() if traceparent is None else check_traceparent(traceparent)
        return NewTask(
            id=id,
            agent=target.name,
            step=target.first_step,
            input=target.write(value, limit),
            budget=(budget or Budget()).over(target.budget),
            sensitive=sensitive or target.sensitive,
            traceparent=below(above or new_traceparent(), id),
            parent_span=None if above is None else above[36:52],
            queue=queue or target.usual_queue or self._settings.queue,
            ttl_seconds=ttl or target.ttl or self._settings.ttl_seconds,
            retention_seconds=target.retention or 0.0,
            **options,
        )

    def _check_options(self, *, queue: Any, ttl: Any, priority: Any = 5, **options: Any) -> None:
        check_priority(priority)
        check_ttl(ttl)
        check_queue(queue)
        check_kind(options.get("session_id"), "session_id", str, "text")
        if options.get("callback_url") is not None:
            check_target_url(options["callback_url"], "callback_url", self._settings.webhook_allow)
        check_identity(options.get("identity"))
        check_kind(options.get("metadata"), "metadata", dict, "a dict")

    def _registered(self, name: str) -> Target:
        with self._database.connection() as connection:
            definition = catalog.registered_agent(connection, name) if NAME.match(name) else None
            known = [] if definition else catalog.registered_names(connection)
        if definition is None:
            names = sorted({*agents.loaded_agents(), *known})
            broken = [module for module in self._settings.agents if module in self._failed]
            why = "".join(
                f" {module} does not load: {why_not_loaded(module, self._failed[module])}." for module in broken
            )
            raise UnknownAgent(
                f"No agent is named {shown(name)}, here or at the workers. Known: {', '.join(names) or 'none'}.{why} "
                "Name the agent's module in AGENT_TASKS_AGENTS and restart the workers.",
                agent=shown(name).strip("'"),
                known=names,
            )
        return Target(
            name,
            definition["first_step"],
            Budget.from_dict(definition["budget"]) if definition["budget"] else None,
            definition["sensitive"],
            definition["queue"],
            definition["ttl"],
            definition.get("retention"),
            lambda value, limit: payloads.encode(
                agents.checked_against(definition.get("input_schema"), dict(agents.input_mapping(value)), name),
                "input",
                limit=limit,
            ),
            definition.get("scopes") or (),
            definition.get("mode", "async"),
            definition.get("mode_hints") or (),
        )

    def load_agents_once(self) -> None:
        """Load the modules that the settings name; those that do not load are told of when an agent is missing."""
        with self._lock:
            if not self._loaded:
                self._loaded = True
                self._failed = load_agents(self._settings.agents, self._settings.bundled)


def declared(database: Database, agent: str) -> Declared:
    """Return an agent's goal, tools and scopes, from its code or a worker's registration; empty if unknown."""
    if (found := agents.loaded_agents().get(agent)) is not None:
        return found.says
    with database.connection() as connection:
        return Declared.registered(catalog.registered_agent(connection, agent) or {})


def _written(first: Step, value: Any, limit: int) -> str:
    try:
        return first.write(agents.input_mapping(value), limit=limit)[0]
    except InvalidInput:
        if not isinstance(value, BaseModel):
            raise
    # models in it are not of the classes that the step declares, and may be of their form
    return first.write(value.model_dump(serialize_as_any=True), limit=limit)[0]


def digests(task: NewTask, value: Any) -> tuple[bytes, bytes]:
    """Return the digests that equal requests share, over the agent and the caller's input in a fixed order.

    The second is the one of 0.1.0, which was taken over the input as stored.
    """
    kept = json.loads(task.input)
    try:
        given = _sorted(value)
    except (ValueError, TypeError, RecursionError):  # a validator has changed it into something without a JSON form
        given = kept
    first, second = (json.dumps([task.agent, what], sort_keys=True).encode() for what in ([given], kept))
    return hashlib.sha256(first).digest(), hashlib.sha256(second).digest()


def _sorted(value: Any) -> Any:
    """Return the JSON form of a caller's input: without the defaults of models, and with sets in order."""
    if isinstance(value, BaseModel):
        value = {name: item for name, item in value if name in value.model_fields_set}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {next(iter(to_jsonable_python({name: 0}))): _sorted(item) for name, item in items}
    if isinstance(value, list | tuple | set | frozenset):
        listed = [_sorted(item) for item in cast("Iterable[Any]", value)]
        return sorted(listed, key=lambda item: json.dumps(item, sort_keys=True)) if isinstance(value, Set) else listed
    return to_jsonable_python(value)

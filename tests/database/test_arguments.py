"""Every public argument, given what means nothing there: a typed error names it, and nothing comes of it."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import (
    Agent,
    AgentTaskError,
    AgentTasks,
    Budget,
    Child,
    FanOut,
    Identity,
    InvalidInput,
    Next,
    Partial,
    Retry,
    Settings,
    Sleep,
    SyncContext,
    Wait,
    agent,
    surround,
    surround_async,
)
from agent_tasks.aio import AsyncAgentTasks, AsyncTaskHandle
from agent_tasks.task.budget import Spend
from tests.conftest import fresh_deployment
from tests.database import claimed, operations_of


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


NONSENSE: dict[str, Any] = {
    "None": None,
    "True": True,
    "zero": 0,
    "negative": -1,
    "very negative": -(10**5000),
    "huge": 10**5000,
    "large": 10**400,
    "fraction": 0.5,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "bytes": b"text",
    "NUL": "a\x00b",
    "surrogate": "a\ud800b",
    "empty": "",
    "long": "x" * 300_000,
    "list": [1],
    "mapping": {1: 2},
    "object": Unprintable(),
}
TEXTS = {"NUL", "surrogate", "empty", "long"}
TIMES = {"None", "zero", "negative", "fraction", "infinity"}


def awaited(value: Any) -> Any:
    """What comes of an awaitable or an async iterator, in a loop of its own; all else is itself."""
    if inspect.isasyncgen(value):

        async def collect() -> list[Any]:
            return [item async for item in value]

        return asyncio.run(collect())
    return asyncio.run(value) if inspect.iscoroutine(value) else value


@dataclass
class Here:
    """What the arguments are given to: a deployment and a task of it, by way of either client."""

    tasks: Any
    task: Any
    context: Any


@pytest.fixture(scope="module")
def deployed(server_urls: tuple[str, str], template: str) -> Iterator[AgentTasks]:
    with fresh_deployment(server_urls, template) as settings:
        client = AgentTasks(settings)
        yield client
        client.close()


@pytest.fixture(params=["plain", "awaited"])
def here(deployed: AgentTasks, request: pytest.FixtureRequest) -> Here:
    task = deployed.submit("echo")
    deployed.webhooks.put("kept", "https://a.example")
    if request.param == "plain":
        return Here(deployed, task, None)
    return Here(AsyncAgentTasks(deployed), AsyncTaskHandle(task), None)


@pytest.fixture(scope="module")
def context(deployed: AgentTasks) -> SyncContext:
    operations = operations_of(deployed, claimed(deployed))
    operations.branches.enter()
    return SyncContext(
        task_id=UUID(int=1), agent="echo", step="echo", step_number=0, attempt=1, identity=None, session_id=None,
        limit=Budget(), spent=Spend(), operations=operations,
    )  # fmt: skip


def check(argument: str, call: Callable[[Any], Any], takes: set[str]) -> None:
    """Each piece of nonsense that is not among `takes` is refused, by a typed error that names the argument."""
    wrong: list[str] = []
    for name, value in NONSENSE.items():
        try:
            call(value)
        except TimeoutError:
            if name not in takes:
                wrong.append(f"{name}: waited")
        except AgentTaskError as error:
            said = f"{error.message} {error.details.get('field')}"
            if name in takes:
                wrong.append(f"{name}: was refused: {said[:200]}")
            elif argument not in said.lower() or len(error.message) > 3000 or not error.info.message:
                wrong.append(f"{name}: does not name it: {said[:200]}")
        except BaseException as error:
            wrong.append(f"{name}: {type(error).__module__}.{type(error).__name__}: {str(error)[:200]}")
        else:
            if name not in takes:
                wrong.append(f"{name}: was taken")
    assert wrong == []


OPTIONS: dict[str, set[str]] = {
    "budget": {"None"},
    "identity": {"None"},
    "session_id": {"None", "empty", "long"},
    "callback_url": {"None"},
    "queue": {"None"},
    "priority": {"zero"},
    "ttl": {"None", "fraction"},
    "metadata": {"None", "mapping"},
}
ANY_JSON = {"None", "bytes", "True", "zero", "negative", "large", "fraction", "empty", "long", "list"}
CALLS: dict[str, tuple[Callable[[Here, Any], Any], set[str]]] = {
    "submit agent": (lambda h, v: h.tasks.submit(v), set()),
    "submit input": (lambda h, v: h.tasks.submit("echo", v), {"None"}),
    **{f"submit {o}": (lambda h, v, o=o: h.tasks.submit("echo", **{o: v}), t) for o, t in OPTIONS.items()},
    "submit idempotency_key": (lambda h, v: h.tasks.submit("echo", idempotency_key=v), {"None"}),
    "submit traceparent": (lambda h, v: h.tasks.submit("echo", traceparent=v), {"None"}),
    "submit connection": (lambda h, v: h.tasks.submit("echo", connection=v), {"None"}),
    "submit_many agent": (lambda h, v: h.tasks.submit_many(v, [{}]), set()),
    "submit_many input": (lambda h, v: h.tasks.submit_many("echo", v), set()),
    **{
        f"submit_many {o}": (lambda h, v, o=o: h.tasks.submit_many("echo", [{}], **{o: v}), t)
        for o, t in OPTIONS.items()
    },
    "submit_many traceparent": (lambda h, v: h.tasks.submit_many("echo", [{}], traceparent=v), {"None"}),
    "submit_many connection": (lambda h, v: h.tasks.submit_many("echo", [{}], connection=v), {"None"}),
    "get task_id": (lambda h, v: h.tasks.get(v), set()),
    "get identity": (lambda h, v: h.tasks.get(h.task.id, identity=v), {"None"}),
    "living agent": (lambda h, v: h.tasks.living(agent=v), {"None"}),
    "living status": (lambda h, v: h.tasks.living(status=v), {"None"}),
    "living kind": (lambda h, v: h.tasks.living(kind=v), {"None"}),
    "living tenant": (lambda h, v: h.tasks.living(tenant=v), {"None", "empty"}),
    "living subject": (lambda h, v: h.tasks.living(subject=v), {"None"}),
    "living identity": (lambda h, v: h.tasks.living(identity=v), {"None"}),
    "living limit": (lambda h, v: h.tasks.living(limit=v), set()),
    "schedule agent": (lambda h, v: h.tasks.schedule(v, every=60), set()),
    "schedule input": (lambda h, v: h.tasks.schedule("echo", v, every=60), {"None"}),
    "schedule name": (lambda h, v: h.tasks.schedule("echo", every=60, name=v), {"None"}),
    "schedule cron": (lambda h, v: h.tasks.schedule("echo", cron=v), set()),
    "schedule every": (lambda h, v: h.tasks.schedule("echo", every=v), set()),
    "schedule timezone": (lambda h, v: h.tasks.schedule("echo", every=60, timezone=v), set()),
    **{
        f"schedule {o}": (lambda h, v, o=o: h.tasks.schedule("echo", every=60, **{o: v}), t)
        for o, t in OPTIONS.items()
    },
    "schedules identity": (lambda h, v: h.tasks.schedules(identity=v), {"None"}),
    "unschedule name": (lambda h, v: h.tasks.unschedule(v), set()),
    "unschedule tenant": (lambda h, v: h.tasks.unschedule("nightly", tenant=v), {"None", "empty"}),
    "unschedule identity": (lambda h, v: h.tasks.unschedule("nightly", identity=v), {"None"}),
    "webhooks.put name": (lambda h, v: h.tasks.webhooks.put(v, "https://a.example"), set()),
    "webhooks.put url": (lambda h, v: h.tasks.webhooks.put("w", v), set()),
    **{
        f"webhooks.put {o}": (lambda h, v, o=o: h.tasks.webhooks.put("w", "https://a.example", **{o: v}), t)
        for o, t in {
            "types": {"None"}, "agents": {"None"}, "payload": set(), "ordered": {"True"}, "secret": {"None"},
            "subject": {"None"}, "tenant": {"None", "empty"}, "identity": {"None"},
        }.items()
    },
    "webhooks.get name": (lambda h, v: h.tasks.webhooks.get(v), set()),
    "webhooks.rotate secret": (lambda h, v: h.tasks.webhooks.rotate("kept", secret=v), {"None"}),
    "webhooks.rotate overlap": (lambda h, v: h.tasks.webhooks.rotate("kept", overlap=v), {"zero", "fraction"}),
    "webhooks.list tenant": (lambda h, v: h.tasks.webhooks.list(tenant=v), {"None", "empty"}),
    "webhooks.list identity": (lambda h, v: h.tasks.webhooks.list(identity=v), {"None"}),
    "webhooks.callback_secret tenant": (lambda h, v: h.tasks.webhooks.callback_secret(tenant=v), {"None", "empty"}),
    "signal name": (lambda h, v: h.task.signal(v), set()),
    "signal payload": (lambda h, v: h.task.signal("go", v), ANY_JSON | {"mapping"}),
    "signal signal_id": (lambda h, v: h.task.signal("go", signal_id=v), {"None"}),
    "signal wait_id": (lambda h, v: h.task.signal("go", wait_id=v), {"None"}),
    "signal identity": (lambda h, v: h.task.signal("go", identity=v), {"None"}),
    "events after": (lambda h, v: list(awaited(h.task.events(v))), {"zero"}),
    "events follow": (lambda h, v: list(awaited(h.task.events(follow=v, timeout=0.01))), {"True"}),
    "tree root": (lambda h, v: h.task.tree(root=v), {"True"}),
}  # fmt: skip


@pytest.mark.parametrize("where", CALLS)
def test_what_means_nothing_to_a_deployment_or_a_task_is_refused_by_name(here: Here, where: str) -> None:
    call, takes = CALLS[where]
    check(where.split()[-1], lambda value: awaited(call(here, value)), takes)


def test_what_means_nothing_of_a_task_that_has_ended_is_refused_by_name(here: Here) -> None:
    check("reason", lambda value: awaited(here.task.cancel(value)), TEXTS)
    for name in ("wait", "result"):
        check("timeout", lambda value, name=name: ended(awaited, getattr(here.task, name), value), TIMES)
    check("timeout", lambda value: list(awaited(here.task.events(follow=True, timeout=value))), TIMES)
    check("budget", lambda value: awaited(here.task.resume(budget=value)), {"None"})
    check("from_step", lambda value: awaited(here.task.resume(from_step=value)), {"None", "zero"})
    check("callback_url", lambda value: awaited(here.task.resume(callback_url=value)), {"None"})


def ended(awaited: Callable[[Any], Any], wait: Callable[..., Any], timeout: Any) -> None:
    try:
        awaited(wait(timeout=timeout))
    except AgentTaskError as error:
        if isinstance(error, InvalidInput):
            raise


def begin(ctx: Any) -> None: ...


MADE: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "AgentTasks settings": (AgentTasks, set()),
    "AsyncAgentTasks client": (AsyncAgentTasks, set()),
    "Agent name": (Agent, set()),
    "Agent budget": (lambda v: Agent("mine", budget=v), {"None"}),
    "Agent sensitive": (lambda v: Agent("mine", sensitive=v), {"True"}),
    "Agent queue": (lambda v: Agent("mine", queue=v), {"None"}),
    "Agent ttl": (lambda v: Agent("mine", ttl=v), {"None", "fraction"}),
    "Agent retention": (lambda v: Agent("mine", retention=v), {"None", "fraction"}),
    "Agent signals": (lambda v: Agent("mine", signals=v), {"None"}),
    "Agent goal": (lambda v: Agent("mine", goal=v), {"None"}),
    "Agent tools": (lambda v: Agent("mine", tools=v), {"long"}),
    "Agent scopes": (lambda v: Agent("mine", scopes=v), set()),
    "step name": (lambda v: Agent("mine").step(begin, name=v), {"None"}),
    "step retry": (lambda v: Agent("mine").step(begin, retry=v), {"None"}),
    "step undo": (lambda v: Agent("mine").step(begin, undo=v), {"None"}),
    "step step": (lambda v: Agent("mine").step()(v), set()),
    "agent name": (lambda v: agent(v)(begin), set()),
    "agent retry": (lambda v: agent("mine", retry=v)(begin), {"None"}),
    "Budget seconds": (lambda v: Budget(seconds=v), {"None", "fraction"}),
    "Budget tokens": (lambda v: Budget(tokens=v), {"None"}),
    "Budget usd": (lambda v: Budget(usd=v), {"None", "fraction"}),
    "Budget steps": (lambda v: Budget(steps=v), {"None"}),
    "Budget calls": (lambda v: Budget(calls=v), {"None"}),
    "Retry attempts": (lambda v: Retry(attempts=v), {"huge", "large"}),
    "Retry base": (lambda v: Retry(base=v), {"zero", "fraction"}),
    "Retry cap": (lambda v: Retry(cap=v), {"zero", "fraction"}),
    "Retry on": (lambda v: Retry(on=v), set()),
    "Next step": (Next, {"NUL", "surrogate", "long"}),
    "Wait signal": (lambda v: Wait(v, then=begin), set()),
    "Wait then": (lambda v: Wait("go", then=v), {"NUL", "surrogate", "long"}),
    "Wait timeout": (lambda v: Wait("go", then=begin, timeout=v), {"None", "zero", "negative", "fraction"}),
    "Wait on_timeout": (
        lambda v: Wait("go", then=begin, timeout=1, on_timeout=v),
        {"None", "NUL", "surrogate", "long"},
    ),
    "Wait all": (lambda v: Wait("go", then=begin, all=v), {"True"}),
    "Sleep duration": (lambda v: Sleep(v, then=begin), {"zero", "negative", "fraction"}),
    "Sleep then": (lambda v: Sleep(1, then=v), {"NUL", "surrogate", "long"}),
    "Child agent": (Child, TEXTS),
    "Child weight": (lambda v: Child("echo", weight=v), {"fraction"}),
    "Child budget": (lambda v: Child("echo", budget=v), {"None"}),
    "Child queue": (lambda v: Child("echo", queue=v), {"None"}),
    "Child priority": (lambda v: Child("echo", priority=v), {"None", "zero"}),
    "Child metadata": (lambda v: Child("echo", metadata=v), {"None", "mapping"}),
    "FanOut children": (lambda v: FanOut(v, then=begin), set()),
    "FanOut then": (lambda v: FanOut([], then=v), {"NUL", "surrogate", "long"}),
    "FanOut reserve": (lambda v: FanOut([], then=begin, reserve=v), {"None", "zero", "fraction"}),
    "FanOut on_child_failure": (lambda v: FanOut([], then=begin, on_child_failure=v), set()),
    "FanOut split": (lambda v: FanOut([], then=begin, split=v), set()),
    "Partial reason": (lambda v: Partial(1, v), TEXTS),
    "surround manager": (surround, set()),
    "surround_async manager": (surround_async, set()),
}


@pytest.mark.parametrize("where", MADE)
def test_what_means_nothing_in_a_declaration_or_a_directive_is_refused_by_name(
    where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("agent_tasks.authoring.agent._registry", {})
    monkeypatch.setenv("AGENT_TASKS_DATA_DIR", str(tmp_path))
    for name in ("AGENT_TASKS_DATABASE_URL", "AGENT_TASKS_REDIS_URL", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    call, takes = MADE[where]
    if where.endswith(("settings", "client")):
        takes = {"None"}
        monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", "postgresql://here/db")
        monkeypatch.setenv("AGENT_TASKS_REDIS_URL", "redis://here/0")
    check(where.split()[-1], call, takes)


OPERATIONS: dict[str, tuple[Callable[[SyncContext, Any], Any], set[str]]] = {
    "call function": (lambda c, v: c.call(v), set()),
    "call at_most_once": (lambda c, v: c.call(begin, 1, at_most_once=v), {"True"}),
    "using key": (lambda c, v: c.using(key=v), {"None"}),
    "using name": (lambda c, v: c.using(name=v), {"None"}),
    "using retry": (lambda c, v: c.using(retry=v), {"None"}),
    "using check": (lambda c, v: c.using(check=v), {"None"}),
    "using at_most_once": (lambda c, v: c.using(at_most_once=v), {"True"}),
    "charge tokens": (lambda c, v: c.charge(tokens=v), {"zero"}),
    "charge usd": (lambda c, v: c.charge(usd=v), {"zero", "fraction"}),
    "progress done": (lambda c, v: c.progress(v), {"zero", "negative", "fraction"}),
    "progress total": (lambda c, v: c.progress(1, v), {"None", "zero", "negative", "fraction"}),
    "progress message": (lambda c, v: c.progress(1, 2, v), {"None", "empty", "long"}),
    "emit name": (lambda c, v: c.emit(v), set()),
    "emit data": (lambda c, v: c.emit("found", v), ANY_JSON | {"mapping"}),
    "partial partial": (lambda c, v: c.partial(v), ANY_JSON | {"mapping"}),
}


@pytest.mark.parametrize("where", OPERATIONS)
def test_what_means_nothing_to_a_context_is_refused_by_name(context: SyncContext, where: str) -> None:
    call, takes = OPERATIONS[where]
    check(where.split()[-1], lambda value: call(context, value), takes)


NUMBERS = {"True", "fraction"}
SETTINGS: dict[str, set[str]] = {
    "queue": {"bytes"},
    **{f"{name}_seconds": NUMBERS for name in ("lease", "ttl", "ring", "drain", "overrun", "retention", "sweep")},
    "quantum_seconds": NUMBERS | {"zero"},
    **{name: {"True"} for name in ("async_steps", "call_threads", "max_children", "max_depth", "poison_crashes")},
    "payload_limit": set(),
    "pool_size": set(),
    "prepared_statements": set(),
    "metrics_port": {"zero", "True"},
    "metrics_host": {"bytes", "empty", "long"},
    "model": {"bytes", "empty", "long"},
    "database_url": set(),
    "redis_url": set(),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_means_nothing_as_a_setting_is_refused_by_name(
    setting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATA_DIR", str(tmp_path))
    servers = {"database_url": "postgresql://here/db", "redis_url": "redis://here/0"}
    check(setting, lambda value: Settings.load(**{**servers, setting: value}), SETTINGS[setting])


ASKED: dict[str, Callable[[Here, Identity], Any]] = {
    "submit": lambda h, identity: h.tasks.submit("echo", identity=identity),
    "schedule": lambda h, identity: h.tasks.schedule("echo", every=60, identity=identity),
    "living": lambda h, identity: h.tasks.living(identity=identity),
    "schedules": lambda h, identity: h.tasks.schedules(identity=identity),
    "unschedule": lambda h, identity: h.tasks.unschedule("nightly", identity=identity),
    "get": lambda h, identity: h.tasks.get(h.task.id, identity=identity),
    "signal": lambda h, identity: h.task.signal("go", identity=identity),
}


@pytest.mark.parametrize("where", ASKED)
def test_an_identity_that_cannot_be_kept_is_refused_wherever_it_is_given(here: Here, where: str) -> None:
    for field, identity in (("subject", Identity(subject="a\x00")), ("tenant", Identity(subject="a", tenant="\x00"))):
        with pytest.raises(InvalidInput) as caught:
            awaited(ASKED[where](here, identity))
        assert caught.value.details["field"] == f"identity.{field}"


def test_a_call_takes_numbers_of_any_length(context: SyncContext) -> None:
    assert context.call(lambda number: number.bit_length(), 10**5000) == (10**5000).bit_length()
    assert context.call(lambda number: number < 0, -(10**5000)) is True

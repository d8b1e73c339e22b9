"""A graph that a step runs: it goes on from its last checkpoint, and an interrupt of it is a wait of the step."""

import itertools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, Interrupt, StateSnapshot
from pydantic_core import to_jsonable_python

from agent_tasks.authoring.calls.calling import Calls
from agent_tasks.authoring.calls.operations import CallOptions
from agent_tasks.authoring.context import Context
from agent_tasks.errors import InvalidInput, StepFailed
from agent_tasks.integrations.approvals import Approval, PendingCall, answers
from agent_tasks.integrations.langgraph.place import ASKED_BY, Running, within
from agent_tasks.integrations.langgraph.saver import FencedSaver, saver_of
from agent_tasks.task.arguments import refused

AnyGraph = Any
Config = dict[str, Any]
Compiled = Pregel[Any, Any, Any, Any]


async def run(
    ctx: Context,
    graph: AnyGraph,
    input: Any,
    *,
    thread: str = "",
    approval: str = "approval",
    timeout: float | timedelta | None = None,
    config: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Run a graph in this step, as `graph.ainvoke(input, config, **options)` does; returns its output.

    `graph`: a `StateGraph`, or one compiled without a checkpointer. Its checkpoints lie in the schema `langgraph` of
    the deployment's Postgres, the id of their thread is the task's (with `thread`, `"<task id>/<thread>"`). A step that
    runs again goes on from the last checkpoint. An interrupt waits for a signal of the name `approval`, an `Approval`
    whose `result`, or else `approved`, is what `interrupt()` returns; the step is parked meanwhile. `timeout` (seconds
    or a timedelta): how long for each; what was not answered by then is False. Raises what the graph does.
    """
    course = _Course(ctx, graph, thread, dict(config or {}), options)
    begun = await course.begin()
    resume: dict[str, Any] = {}
    approvals: dict[str, Any] = {}
    for turn in itertools.count():
        came = await course.go_on(turn, begun, input, resume, approvals)
        if not came["asked"]:
            return await course.output(came["at"])
        pending = {each["id"]: _pending(turn, **each) for each in came["asked"]}
        found = await answers(ctx, [*pending.values()], signal=approval, timeout=timeout)
        resume = {name: _resumes_with(found[call.id]) for name, call in pending.items() if call.runs_elsewhere}
        approvals |= {
            call.id: found[call.id].model_dump(mode="json") for call in pending.values() if not call.runs_elsewhere
        }
    raise AssertionError("it has no end")


def _pending(turn: int, id: str, value: Any) -> PendingCall:
    """Return what an interrupt asks for: an approval of a tool call, or what `interrupt` returns in a node."""
    if isinstance(value, dict) and ASKED_BY in value:
        asked = cast("dict[str, Any]", value)
        return PendingCall(asked[ASKED_BY], asked["tool"], asked["arguments"])
    return PendingCall(f"{turn} {id}", "interrupt", value, runs_elsewhere=True)


def _resumes_with(answer: Approval) -> Any:
    return answer.result if "result" in answer.model_fields_set and answer.approved is not False else answer.approved


class _Course:
    """The course of one graph in a step, each part of which, up to an interrupt or the end, is a recorded call."""

    def __init__(self, ctx: Context, graph: AnyGraph, thread: str, config: Config, options: Config) -> None:
        if "/" in thread or not thread.isprintable():
            raise refused("run(thread=) takes a name without a slash", thread, "thread")
        self._ctx = ctx
        self._operations = ctx._operations  # pyright: ignore[reportPrivateUsage]
        self._graph = graph
        self._suffix = f"/{thread}" if thread else ""
        self._thread = f"{ctx.task_id}{self._suffix}"
        self._name = f"graph {thread}" if thread else "graph"
        self._options: Any = {**options, "durability": "sync"}
        own: Config = {**config.get("configurable", {}), "thread_id": self._thread}
        self._config: Any = {**config, "configurable": own}

    async def begin(self) -> Config:
        """Return, the same in each repeat, the thread in which the graph begins, and its last checkpoint by then."""

        async def begin() -> Config:
            async with saver_of(self._operations.premises) as saver:
                state = await self._compiled(saver).aget_state(self._config)
            return {"thread": self._thread, "at": _checkpoint_of(state)}

        return await self._ctx.using(name=f"{self._name} begins").call(begin)

    async def go_on(self, turn: int, begun: Config, input: Any, resume: Config, approvals: Config) -> Config:
        """Run the graph up to its next interrupts or its end; returns what they ask, and its checkpoint then."""
        answered = {key: Approval.model_validate(value) for key, value in approvals.items()}

        async def go_on(turn: int, resume: Config, approvals: Config) -> Config:
            async with saver_of(self._operations.premises) as saver:
                graph = self._compiled(saver)
                state = await self._state(graph, saver, begun)
                given = self._next(state, begun, resume, input if turn == 0 else None)
                with within(Running(self._ctx, begun["thread"], answered)):
                    await graph.ainvoke(given, self._config, **self._options)
                state = await graph.aget_state(self._config)
            asked = [{"id": each.id, "value": _json_of(each)} for each in state.interrupts]
            if state.next and not asked:
                raise InvalidInput("A graph in a step stops by interrupt(), not before or after nodes by their names")
            return {"asked": asked, "at": _checkpoint_of(state)}

        calls = Calls(self._ctx, self._operations, CallOptions(name=self._name, resumes=True))
        return await calls.call(go_on, turn, resume, approvals)

    async def output(self, at: str) -> Any:
        """Return the output of the graph that has ended at a checkpoint."""
        config: Any = {**self._config, "configurable": {**self._config["configurable"], "checkpoint_id": at}}
        async with saver_of(self._operations.premises) as saver:
            graph = self._compiled(saver)
            values = (await graph.aget_state(config)).values
        names = graph.output_channels
        return values if isinstance(names, str) else {name: values[name] for name in names if name in values}

    def _next(self, state: StateSnapshot, begun: Config, resume: Config, input: Any = None) -> Any:
        """Return what the graph is invoked with: its input, the answers that it does not have yet, or nothing."""
        if input is not None and _checkpoint_of(state) == begun["at"]:
            return input
        pending = {each.id for each in state.interrupts}
        missing = {name: value for name, value in resume.items() if name in pending}
        return Command(resume=missing) if missing else None

    async def _state(self, graph: Compiled, saver: FencedSaver, begun: Config) -> StateSnapshot:
        """Return the graph's state; in a task that was resumed from another, what that one had left."""
        state = await graph.aget_state(self._config)
        if _checkpoint_of(state) is None and begun["thread"] != self._thread:
            if not await saver.take_over(self._suffix, self._thread) and begun["at"] is not None:
                raise StepFailed(f"The checkpoints of the graph's thread {begun['thread']} are gone")
            state = await graph.aget_state(self._config)
        return state

    def _compiled(self, saver: FencedSaver) -> Compiled:
        graph = self._graph
        if isinstance(graph, StateGraph):
            return cast("StateGraph[Any, Any, Any, Any]", graph).compile(checkpointer=saver)
        if not isinstance(graph, Pregel):
            raise refused("run takes a StateGraph, or what it compiles to", graph, "graph")
        compiled = cast("Compiled", graph)
        if compiled.checkpointer:
            raise InvalidInput("A graph in a step is compiled without a checkpointer: run has one", field="graph")
        return compiled.copy({"checkpointer": saver})


def _checkpoint_of(state: StateSnapshot) -> str | None:
    return state.config.get("configurable", {}).get("checkpoint_id")


def _json_of(interrupt: Interrupt) -> Any:
    return to_jsonable_python(interrupt.value, fallback=str)

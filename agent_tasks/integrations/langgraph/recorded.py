"""Models, tools and functions whose every use within a graph that a step runs is a recorded call."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage, message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import BaseTool
from langgraph.types import Command
from pydantic_core import to_jsonable_python

from agent_tasks.authoring.calls.call_identity import name_of
from agent_tasks.authoring.functions import is_async
from agent_tasks.errors import InvalidInput, StepFailed
from agent_tasks.integrations.langgraph.place import Running, running, within
from agent_tasks.integrations.requests import priced, request
from agent_tasks.task.arguments import refused
from agent_tasks.task.budget import Budget
from agent_tasks.task.usage import Usage

T = TypeVar("T")
Price = Callable[[Usage, str], float]
_OPTIONS = {"at_most_once", "check", "retry"}
_PROVIDERS = {
    "amazon_bedrock": "aws",
    "azure_openai": "azure",
    "bedrock_converse": "aws",
    "google_anthropic_vertex": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}
"""LangChain's names of providers that have others in genai-prices."""


def recorded(
    thing: T, *, price: Price | None = None, reserve: Budget | None = None, approval: bool = False, **options: Any
) -> T:
    """Return a chat model, a tool or a function like `thing`, of which each use in a graph is a recorded call.

    Outside of `run` it is as `thing` is, which stays as it was. `price`: returns what a usage of a model costs, in
    dollars, in place of genai-prices. `approval`: a tool waits for an approval of its arguments before it runs.
    `reserve`, and `at_most_once`, `retry` and `check` in `options`, are those of `ctx.using`. A function may be plain
    or async. What tools and functions return must have a JSON form.
    """
    if unknown := options.keys() - _OPTIONS:
        raise InvalidInput(f"recorded has no option {', '.join(sorted(unknown))}", field=min(unknown))
    if reserve is not None:
        options["reserve"] = reserve
    if isinstance(thing, BaseChatModel) and not approval:
        return cast("T", _of_kind(thing, _model(thing, price, options)))
    if price is not None:
        raise InvalidInput("recorded(price=) is for models", field="price")
    if isinstance(thing, BaseTool):
        return cast("T", _of_kind(thing, _tool(thing, approval, options)))
    if approval:
        raise InvalidInput("recorded(approval=) is for tools", field="approval")
    if not callable(thing):
        raise refused("recorded takes a chat model, a tool or a function", thing, "thing")
    return cast("T", _function(thing, options))


def _of_kind(thing: Any, methods: dict[str, Any]) -> Any:
    """Return a copy of a model or tool, of a class of its own below that of `thing`, with these methods."""
    base = type(thing)
    copy = thing.model_copy()
    copy.__class__ = type(base.__name__, (base,), {**methods, "__module__": base.__module__, "__doc__": base.__doc__})
    return copy


def _model(model: BaseChatModel, price: Price | None, options: dict[str, Any]) -> dict[str, Any]:
    kind: Any = type(model)

    async def ask(graph: Running, messages: Sequence[BaseMessage], kwargs: dict[str, Any], body: Any) -> ChatResult:
        async def answer() -> Any:
            return _written(await body())

        async def charge(answer: Any) -> None:
            for message in (generation.message for generation in _read(answer).generations):
                if usage := getattr(message, "usage_metadata", None):
                    name = _name_of(model, message)
                    usd = None if price is None else priced(functools.partial(price, Usage.of(usage), name))
                    await graph.ctx.charge_usage(usage, model=name, usd=usd)

        name = f"model.request {_named(model)}"
        key = graph.key(name, ([_told(message) for message in messages], kwargs))
        return _read(await request(graph.ctx, name, answer, charge, key=key, **options))

    async def _agenerate(
        self: Any, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        async def body() -> ChatResult:
            with within(None):  # it may be made of the model's other methods
                return await kind._agenerate(self, messages, stop=stop, run_manager=run_manager, **kwargs)

        graph = running()
        return await body() if graph is None else await ask(graph, messages, {"stop": stop, **kwargs}, body)

    def _generate(
        self: Any, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        def plainly() -> ChatResult:
            with within(None):
                return kind._generate(self, messages, stop=stop, run_manager=run_manager, **kwargs)

        graph = running()
        if graph is None:
            return plainly()
        return graph.wait_for(ask(graph, messages, {"stop": stop, **kwargs}, _in_thread(plainly)))

    async def _astream(self: Any, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        if running() is not None:
            for chunk in _chunks(await self._agenerate(messages, *args, **kwargs)):
                yield chunk
            return
        async for chunk in kind._astream(self, messages, *args, **kwargs):
            yield chunk

    def _stream(self: Any, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[Any]:
        if running() is not None:
            yield from _chunks(self._generate(messages, *args, **kwargs))
        else:
            yield from kind._stream(self, messages, *args, **kwargs)

    methods: dict[str, Any] = {"_agenerate": _agenerate, "_generate": _generate}
    streams = [name for name in ("_stream", "_astream") if getattr(kind, name) is not getattr(BaseChatModel, name)]
    if streams:
        methods["_astream"] = _astream
    if "_stream" in streams:
        methods["_stream"] = _stream
    return methods


def _tool(tool: BaseTool, approval: bool, options: dict[str, Any]) -> dict[str, Any]:
    kind: Any = type(tool)

    async def make(graph: Running, given: Any, kwargs: dict[str, Any], body: Any) -> Any:
        async def call() -> Any:
            return _written_of_tool(tool, await body())

        chosen, call_id = _chosen(tool, given), kwargs.get("tool_call_id")
        key = graph.key(tool.name, (call_id, chosen))
        if approval and not (answer := graph.approval(key, tool.name, chosen)).approved:
            denied = answer.message or "The tool call was denied."
            return (
                denied if call_id is None else ToolMessage(denied, tool_call_id=call_id, name=tool.name, status="error")
            )
        return _read_of_tool(await graph.make(key, tool.name, call, **options))

    async def arun(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        async def body() -> Any:
            return await kind.arun(self, tool_input, *args, **kwargs)

        graph = running()
        return await body() if graph is None else await make(graph, tool_input, kwargs, body)

    def run(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        def plainly() -> Any:
            return kind.run(self, tool_input, *args, **kwargs)

        graph = running()
        return plainly() if graph is None else graph.wait_for(make(graph, tool_input, kwargs, _in_thread(plainly)))

    return {"arun": arun, "run": run}


def _function(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    name = name_of(function)

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        graph = running()
        if graph is None:
            return await function(*args, **kwargs)
        return await graph.make(graph.key(name, (args, kwargs)), name, lambda: function(*args, **kwargs), **options)

    @functools.wraps(function)
    def call_plainly(*args: Any, **kwargs: Any) -> Any:
        graph = running()
        if graph is None:
            return function(*args, **kwargs)
        body = _in_thread(lambda: function(*args, **kwargs))
        return graph.wait_for(graph.make(graph.key(name, (args, kwargs)), name, body, **options))

    return call if is_async(function) else call_plainly


def _in_thread(plainly: Callable[[], Any]) -> Callable[[], Any]:
    async def body() -> Any:
        return await asyncio.to_thread(plainly)

    return body


def _written(result: ChatResult) -> Any:
    made = [{"message": message_to_dict(each.message), "info": each.generation_info} for each in result.generations]
    return to_jsonable_python({"generations": made, "output": result.llm_output}, fallback=str)


def _read(answer: Any) -> ChatResult:
    made = [
        ChatGeneration(message=messages_from_dict([each["message"]])[0], generation_info=each["info"])
        for each in answer["generations"]
    ]
    return ChatResult(generations=made, llm_output=answer["output"])


def _chunks(result: ChatResult) -> Iterator[ChatGenerationChunk]:
    """Return an answer that is there as a stream of one chunk."""
    for each in result.generations:
        told = each.message.model_dump(exclude={"type"})
        yield ChatGenerationChunk(message=AIMessageChunk(**told), generation_info=each.generation_info)


def _told(message: BaseMessage) -> Any:
    """Return what a message says; the id that it was given may be another in each run."""
    return to_jsonable_python(message.model_dump(exclude={"id"}), fallback=str)


def _named(model: BaseChatModel) -> str:
    return str(getattr(model, "model_name", None) or getattr(model, "model", None) or type(model).__name__)


def _name_of(model: BaseChatModel, message: BaseMessage) -> str:
    """Return the name of the model that answered, with its provider where the answer says it."""
    told = message.response_metadata
    name = told.get("model_name") or told.get("model") or _named(model)
    provider = told.get("model_provider")
    return f"{_PROVIDERS.get(provider, provider)}:{name}" if provider else str(name)


def _chosen(tool: BaseTool, given: Any) -> Any:
    """Return the arguments that the model chose, without what LangGraph adds to them."""
    if not isinstance(given, dict):
        return given
    schema: Any = tool.tool_call_schema  # a model of pydantic, or a JSON schema
    names = schema.get("properties", {}) if isinstance(schema, dict) else schema.model_json_schema()["properties"]
    return {name: value for name, value in cast("dict[str, Any]", given).items() if name in names}


def _written_of_tool(tool: BaseTool, value: Any) -> Any:
    if isinstance(value, Command):
        raise StepFailed(f"Tool {tool.name} returns a Command, which has no JSON form: use it without recorded()")
    return {"message": message_to_dict(value)} if isinstance(value, ToolMessage) else {"value": value}


def _read_of_tool(outcome: Any) -> Any:
    return messages_from_dict([outcome["message"]])[0] if "message" in outcome else outcome["value"]

"""The OpenAI Agents SDK on the ledger: every request and tool call of a run is a recorded call, paid for once.

agent = Agent("analyst", model="gpt-5", tools=[look])


@research.step
async def analyse(ctx: Context, prompt: str) -> str:
    return (await run(ctx, agent, prompt)).final_output
"""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from agent_tasks.authoring.context import Context
from agent_tasks.errors import InvalidInput
from agent_tasks.integrations.approvals import Approval, PendingCall, answers
from agent_tasks.integrations.current import current, durable, missing
from agent_tasks.integrations.requests import priced, request
from agent_tasks.task.budget import Budget
from agent_tasks.task.usage import Usage

try:
    from agents import Agent, FunctionTool, ModelResponse, RunConfig, Runner, RunResult
    from agents.exceptions import AgentsException
    from agents.models.interface import Model, ModelProvider
    from agents.tool_context import ToolContext

    from agent_tasks.integrations.openai_tools import check_tools
except ModuleNotFoundError as error:
    raise missing(error, ("agents",), "openai-agents") from None

__all__ = ["Approval", "run"]
_RESPONSE = TypeAdapter(ModelResponse)
Price = Callable[[Usage, str], float]
Options = Mapping[str, Any]


class _RecordedModel(Model):
    """A model whose requests are recorded calls of the step."""

    def __init__(self, inner: Model, name: str, price: Price | None, reserve: Budget | None) -> None:
        self._inner = inner
        self._name = name
        self._price = price
        self._options = {} if reserve is None else {"reserve": reserve}

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        ctx = current()
        if ctx is None:
            return await self._inner.get_response(*args, **kwargs)

        async def ask() -> Any:
            return _RESPONSE.dump_python(
                await self._inner.get_response(*args, **kwargs), mode="json", by_alias=True, exclude_unset=True
            )

        async def charge(answer: Any) -> None:
            usage, price = Usage.of(_RESPONSE.validate_python(answer).usage), self._price
            usd = None if price is None else priced(lambda: price(usage, self._name))
            await ctx.charge_usage(usage, model=self._name, usd=usd)

        return _RESPONSE.validate_python(
            await request(ctx, f"model.request {self._name}", ask, charge, **self._options)
        )

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise InvalidInput("A recorded run does not stream: await run(ctx, agent, …) of this module")


class _RecordedProvider(ModelProvider):
    """The provider of the run, whose models are recorded."""

    def __init__(self, inner: ModelProvider, price: Price | None, reserve: Budget | None) -> None:
        self._inner = inner
        self._how = price, reserve

    def get_model(self, model_name: str | None) -> Model:
        inner = self._inner.get_model(model_name)
        return _RecordedModel(inner, model_name or str(getattr(inner, "model", "default")), *self._how)


class _Recording:
    """Makes of agents those whose models and tools are recorded, and leaves the agents as they are."""

    def __init__(self, price: Price | None, reserve: Budget | None, tools: Mapping[str, Options]) -> None:
        self._how = price, reserve
        self._tools = tools
        self._made: dict[int, Agent[Any]] = {}

    def agent(self, agent: Agent[Any]) -> Agent[Any]:
        if (made := self._made.get(id(agent))) is not None:
            return made
        check_tools(agent)
        made = self._made[id(agent)] = agent.clone(tools=[self._tool(tool) for tool in agent.tools])
        made.handoffs = [self.agent(to) if isinstance(to, Agent) else to for to in agent.handoffs]
        if isinstance(agent.model, Model):
            named = str(getattr(agent.model, "model", type(agent.model).__name__))
            made.model = _RecordedModel(agent.model, named, *self._how)
        return made

    def _tool(self, tool: Any) -> Any:
        """A tool of ours is a recorded call; those that the model's provider runs are part of its answer."""
        if not isinstance(tool, FunctionTool):
            return tool
        options = self._tools.get(tool.name, {})

        async def invoke(context: ToolContext[Any], arguments: str) -> Any:
            async def call(arguments: str) -> Any:
                return await tool.on_invoke_tool(context, arguments)

            call.__name__, call.__qualname__ = tool.name, f"tool.{tool.name}"
            ctx = current()
            return await (
                call(arguments) if ctx is None else ctx.using(name=tool.name, **options).call(call, arguments)
            )

        return dataclasses.replace(tool, on_invoke_tool=invoke)


async def run(
    ctx: Context,
    agent: Agent[Any],
    input: Any,
    *,
    approval: str = "approval",
    timeout: float | timedelta | None = None,
    reserve: Budget | None = None,
    price: Price | None = None,
    tools: Mapping[str, Options] | None = None,
    run_config: RunConfig | None = None,
    **options: Any,
) -> RunResult:
    """Run an agent in this step, as `Runner.run(agent, input, run_config=run_config, **options)` does.

    A run that is interrupted for approvals waits for them, as signals of the name `approval`, each an `Approval`; the
    step is parked meanwhile. `timeout` (seconds or a timedelta): how long for each; what was not answered by then is
    rejected. `reserve`: what each request sets aside of the task's budget. `price`: returns what a usage of a model
    costs, in dollars, in place of genai-prices. `tools`: options of `ctx.using` by the tools' names. Raises what
    `Runner.run` does, BudgetExhausted, and InvalidInput for a tool that cannot be recorded.
    """
    config = run_config or RunConfig()
    recorded = _Recording(price, reserve, tools or {}).agent(agent)
    config = dataclasses.replace(config, model_provider=_RecordedProvider(config.model_provider, price, reserve))
    if isinstance(config.model, Model):
        config.model = _RecordedModel(config.model, str(getattr(config.model, "model", "default")), price, reserve)
    with durable(ctx):
        try:
            result = await Runner.run(recorded, input, run_config=config, **options)
            while result.interruptions:
                state = result.to_state()
                items = {str(item.call_id): item for item in state.get_interruptions()}
                pending = [
                    PendingCall(call_id, str(item.name), _asked(item.arguments, item.raw_item))
                    for call_id, item in items.items()
                ]
                found = await answers(ctx, pending, signal=approval, timeout=timeout)
                for call_id, item in items.items():
                    answer = found[call_id]
                    if answer.approved:
                        state.approve(item)
                    else:
                        state.reject(item, rejection_message=answer.message)
                result = await Runner.run(recorded, state, run_config=config, **options)
        except AgentsException as error:
            if (cause := _cause(error)) is None:
                raise
            raise cause from None
    return result


def _asked(arguments: str | None, item: Any) -> Any:
    """Return what an approval is asked for: the arguments of a function, as JSON or as the model wrote them, and of any
    other tool the whole request, which has what is to be done in no one place."""
    if arguments is None:
        return item if isinstance(item, dict) else item.model_dump(mode="json")
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _cause(error: BaseException) -> BaseException | None:
    """Return what a tool or the ledger raised, which the SDK wraps in errors of its own; None for the SDK's own."""
    cause: BaseException | None = error
    while cause is not None and type(cause).__module__.partition(".")[0] == "agents":
        cause = cause.__cause__
    return cause

"""Pydantic AI on the ledger: every model request and tool call of a run is a recorded call, paid for once.

agent = Agent("openai:gpt-5", name="analyst", capabilities=[TaskDurability()])


@research.step
async def analyse(ctx: Context, prompt: str) -> str:
    return (await run(ctx, agent, prompt)).output
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal, TypeVar, cast

from agent_tasks.authoring.context import Context
from agent_tasks.errors import InvalidInput
from agent_tasks.integrations.approvals import Approval, PendingCall, answers
from agent_tasks.integrations.current import current, durable, missing
from agent_tasks.integrations.requests import priced, request
from agent_tasks.task.budget import Budget
from agent_tasks.task.usage import Usage

try:
    from pydantic_ai import AgentRunResult, DeferredToolRequests, DeferredToolResults
    from pydantic_ai.agent import AbstractAgent
    from pydantic_ai.durable_exec import (
        JSON_CODEC,
        BaseDurabilityCapability,
        DurabilityEngineSpec,
        DurableOperationId,
        JournalCallableOperationBackend,
        ModelCompactMessagesId,
        ModelRequestId,
        RoleBasedOperationConfig,
        ToolsetCallToolId,
        conversation_id_from_run_id,
        record_durable_unit,
        replay_scope,
    )
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.tools import ToolApproved, ToolDenied
except ModuleNotFoundError as error:
    raise missing(error, ("pydantic_ai",), "pydantic-ai") from None

__all__ = ["Approval", "TaskDurability", "durable", "run"]
_OPTIONS = {"at_most_once", "retry", "reserve", "check"}
Config = Mapping[str, Any]
Price = Callable[[Usage, str], float]
OutputT = TypeVar("OutputT")


class _Ledger(JournalCallableOperationBackend[Config]):
    """Makes each unit of a run one recorded call of the step."""

    def __init__(self, price: Price | None, **options: Any) -> None:
        super().__init__(**options)
        self._price = price

    async def execute(
        self,
        *,
        operation_id: DurableOperationId,
        name: str,
        body: Callable[[], Awaitable[object]],
        cache_key: tuple[object, ...],
        config: Config,
    ) -> object:
        ctx, ran = current(), False
        if ctx is None:
            raise RuntimeError("a unit is executed within `durable` only")

        async def unit() -> Any:
            nonlocal ran
            ran = True
            return await body()

        try:
            if isinstance(operation_id, ModelRequestId | ModelCompactMessagesId):
                return await request(ctx, name, unit, self._charge, **config)
            unit.__qualname__ = name
            unit.__name__ = name.rpartition(":")[2]
            return await ctx.using(name=name, **config).call(unit)
        finally:
            record_durable_unit(executed=ran)  # what was replayed emits no second span and no second cost

    async def _charge(self, value: Any) -> None:
        ctx = current()
        assert ctx is not None
        response: ModelResponse = JSON_CODEC.load(ModelResponse, value)
        usd, model = priced(lambda: self._usd(response)), self._model_of(response)
        await ctx.charge_usage(response.usage, model=model, usd=usd)

    def _model_of(self, response: ModelResponse) -> str:
        name = response.model_name or "unknown"
        return f"{response.provider_name}:{name}" if response.provider_name else name

    def _usd(self, response: ModelResponse) -> float:
        model = self._model_of(response)
        try:
            if self._price is not None:
                return self._price(Usage.of(response.usage), model)
            named = response.model_name or ""  # the framework's own fake models cost nothing
            is_fake = named == "test" or named.startswith("function:")
            return 0.0 if is_fake else float(response.cost().total_price)
        except (LookupError, ValueError, AssertionError) as error:  # an unknown model, an answer without usage or name
            raise InvalidInput(
                f"No price is known of the model {model!r}. Give TaskDurability(price=) a function of a usage and a "
                "model's name that knows it, or get a newer genai-prices; then resume the task, which keeps the "
                "answers that it has.",
                field="model",
            ) from error


@dataclass(init=False)
class TaskDurability(BaseDurabilityCapability[Any]):
    """The capability that makes an agent's runs durable within `durable` or `run`; elsewhere it changes nothing.

    `models`, `event_stream_handler`, `name`: as of Pydantic AI's own. `reserve`: what each model request sets aside of
    the task's budget. `price`: returns what a usage of a model costs, in dollars, in place of genai-prices.
    """

    engine_spec: ClassVar[DurabilityEngineSpec] = DurabilityEngineSpec(
        engine_name="agent-tasks",
        durable_unit_noun="call",
        durable_container_noun="step",
        codec=JSON_CODEC,
        toolset_lifecycles={"function": "enter-always", "mcp": "enter-in-durable-unit", "dynamic": "enter-never"},
        unsupported_runtime_toolset_kinds=frozenset({"function", "mcp", "dynamic"}),
        tool_config_key="agent_tasks",
    )

    def __init__(self, *, reserve: Budget | None = None, price: Price | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._reserve = reserve
        self._price = price

    @property
    def in_durable_context(self) -> bool:
        return current() is not None

    def get_default_run_id(self) -> str | None:
        return None

    def get_default_conversation_id(self, run_id: str) -> str | None:
        ctx = current()
        return None if ctx is None else ctx.session_id or conversation_id_from_run_id(run_id)

    def get_durable_operation_backend(self) -> _Ledger:
        model = {} if self._reserve is None else {"reserve": self._reserve}
        config = RoleBasedOperationConfig[Config](
            model=model, event={}, capability={}, tool={}, resolve_tool=_options_of_tool
        )
        return _Ledger(self._price, agent_name=self.name, default_model_id=self.default_model_id, config=config)

    async def wrap_run(self, ctx: Any, *, handler: Any) -> AgentRunResult[Any]:
        if not self.in_durable_context:
            return await handler()
        with replay_scope():
            return await super().wrap_run(ctx, handler=handler)


def _options_of_tool(operation_id: DurableOperationId, tool: Any, name: str) -> Config | Literal[False]:
    """Return the options of a tool's calls: `@agent.tool(metadata={"agent_tasks": {"at_most_once": True}})`.

    False in place of the options: the tool runs without a record. Raises InvalidInput for an unknown one.
    """
    metadata = (tool.tool_def.metadata or {}) if tool is not None else {}
    options = metadata.get("agent_tasks", {})
    if options is False or not isinstance(operation_id, ToolsetCallToolId):
        return False if options is False else {}
    if not isinstance(options, Mapping) or {*cast("Config", options)} - _OPTIONS:
        raise InvalidInput(
            f"The metadata 'agent_tasks' of tool {name} takes {', '.join(sorted(_OPTIONS))}, or False for a tool that "
            f"is not recorded; not {options!r}",
            field="metadata",
        )
    return cast("Config", options)


async def run(
    ctx: Context,
    agent: AbstractAgent[Any, OutputT],
    user_prompt: Any = None,
    *,
    approval: str = "approval",
    timeout: float | timedelta | None = None,
    **options: Any,
) -> AgentRunResult[OutputT]:
    """Run an agent with `TaskDurability` in this step, as `agent.run(user_prompt, **options)` does.

    A run that ends with `DeferredToolRequests` (in its `output_type`) waits for the answers, as signals of the name
    `approval`, each an `Approval`; the step is parked meanwhile. `timeout` (seconds or a timedelta): how long for each;
    what was not answered by then is not approved. Raises what `agent.run` does, and BudgetExhausted.
    """
    start = cast("Callable[..., Awaitable[AgentRunResult[OutputT]]]", agent.run)
    with durable(ctx):
        result = await start(user_prompt, **options)
        while isinstance(asked := result.output, DeferredToolRequests):
            pending = [PendingCall(c.tool_call_id, c.tool_name, c.args_as_dict()) for c in asked.approvals]
            pending += [PendingCall(c.tool_call_id, c.tool_name, c.args_as_dict(), True) for c in asked.calls]
            found = await answers(ctx, pending, signal=approval, timeout=timeout)
            again = {**options, "message_history": result.all_messages(), "usage": result.usage}
            result = await start(deferred_tool_results=_results(pending, found), **again)
        return result


def _results(pending: list[PendingCall], found: dict[str, Approval]) -> DeferredToolResults:
    results = DeferredToolResults()
    for call in pending:
        answer = found[call.id]
        denied = ToolDenied(answer.message) if answer.message else ToolDenied()
        if not call.runs_elsewhere:
            results.approvals[call.id] = ToolApproved() if answer.approved else denied
        else:
            results.calls[call.id] = denied.message if answer.approved is False else answer.result
    return results

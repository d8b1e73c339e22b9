"""A call of a tool of an MCP server: made once, and awaited by a parked step where the server makes a task of it."""

from collections.abc import Mapping
from typing import Any, cast

from agent_tasks.authoring.calls.call_identity import CallIdentity, digest_of, fan_out_known_by
from agent_tasks.authoring.calls.doing import Doing
from agent_tasks.authoring.calls.operations import HERE, Call, CallOptions
from agent_tasks.authoring.directives import Child, FanOut, Wait
from agent_tasks.authoring.handed import ChildOutcome
from agent_tasks.authoring.peers.carried import KEY, Caller, said_of, spent_of
from agent_tasks.authoring.peers.mcp_answers import ASKED, responses
from agent_tasks.authoring.peers.mcp_request import ask
from agent_tasks.authoring.peers.mcp_result import McpResult, failure_of
from agent_tasks.authoring.peers.mcp_server import McpServer
from agent_tasks.authoring.peers.own import own_agent
from agent_tasks.authoring.peers.pace import seconds_of
from agent_tasks.errors import InvalidInput, StepFailed, from_info
from agent_tasks.task.arguments import check_signal_name, check_text

_AGAIN = "again"
_LONGEST_TOOL = 128
_MOST_QUESTIONS = 20


class ToolCall:
    """One call as the step makes it: that the tool was called, what came of it, and a failure that the step was given.

    A failure that ended a try of the step is not given again: the tool is called anew. So is it where a task before
    this one was cancelled while it waited, since that has cancelled the server's task, too.
    """

    def __init__(
        self,
        doing: Doing,
        context: Caller,
        options: CallOptions,
        server: McpServer,
        tool: str,
        arguments: Mapping[str, Any] | None,
        signal: str,
    ) -> None:
        """Raises InvalidInput for arguments that mean nothing."""
        for option in ("check", "timeout"):
            if getattr(options, option) is not None:
                raise InvalidInput(
                    "ctx.using(…).mcp(…) takes key, name, retry, reserve and at_most_once: check the result itself, "
                    "and give McpServer a timeout=",
                    field=option,
                )
        check_text(tool, "tool", _LONGEST_TOOL)
        check_signal_name(signal, "signal")
        given: Any = arguments
        if not isinstance(given, Mapping | None):
            raise InvalidInput(f"The arguments of a tool are a mapping, not {type(given).__name__}", field="arguments")
        self._doing = doing
        self._operations = doing.operations
        self._context = context
        self._options = options
        self._server = server
        self._tool = tool
        self._arguments = dict(arguments or {})
        self._signal = signal
        self._name = options.name or f"mcp:{tool}"
        self._before: list[str] = []  # why it was called before, each time

    async def result(self, *, raise_on_error: bool) -> McpResult:
        """Return what the tool returned. Raises what the server, or the tool, answered in its place."""
        while True:
            call, answer = await self._asked()
            error: Exception | None = None
            if answer.get("resultType") == "task":
                if self._was_cancelled(call, answer):
                    continue
                answer, error = await self._awaited(answer)
            result = McpResult.of(answer)
            if result.is_error and raise_on_error:
                error = failure_of(result, self._tool, self._server.url)
            if error is None:
                if (spent := spent_of(result.meta)) is not None:
                    await self._doing.charge(spent)
                return result
            failed = self._begun("failed", call.identity.fingerprint)
            await self._doing.find(failed)
            if not self._operations.ended_a_try(failed):
                await self._doing.fail(failed, error)
            self._before.append(_AGAIN)

    async def _asked(self) -> tuple[Call, dict[str, Any]]:
        """Call the tool, again with answers where the server asks first; return the call and what it answered."""
        more: dict[str, Any] = {}
        for _ in range(_MOST_QUESTIONS):
            call = self._begun("", self._server.url, self._arguments, self._before, more)
            found = await self._doing.find(call)
            answer = found[0] if found is not None else await self._doing.do(call, call.function)
            if answer.get("resultType") != "input_required":
                return call, answer
            requests = answer.get("inputRequests") or {}
            if requests and found is None:
                await self._doing.emit(ASKED, {"tool": self._tool, "signal": self._signal, "requests": requests})
            signal = await self._doing.wait(Wait(self._signal, then=HERE)) if requests else None
            given = {} if signal is None else responses(requests, signal.payload)
            more = {"inputResponses": given, "requestState": answer.get("requestState")}
        raise StepFailed(f"{self._server.url} asked {_MOST_QUESTIONS} times before it called {self._tool}")

    def _begun(self, what: str, *known_by: Any) -> Call:
        """Return a call of the ledger that begins now, and whose function calls the tool."""
        more: dict[str, Any] = known_by[-1] if not what else {}

        async def call() -> dict[str, Any]:
            meta = {**said_of(self._context), KEY: self._context.idempotency_key}
            asked = {name: value for name, value in more.items() if value is not None}
            params = {"name": self._tool, "arguments": self._arguments, "_meta": meta, **asked}
            return await ask(self._context, self._operations, self._server, params)

        call.__name__ = call.__qualname__ = f"mcp:{self._tool}"
        options = self._options
        key = None if options.key is None else " ".join((options.key, *self._before, what, *more)).strip()
        known = digest_of(known_by, {})
        branch, identity = self._operations.branches.identify(f"{self._name} {what}".strip(), known, key)
        return Call(call, identity, branch, options)

    def _was_cancelled(self, call: Call, begun: dict[str, Any]) -> bool:
        """Whether a task before this one waited for the server's task, which was cancelled with it."""
        children = self._watching(begun).children
        awaited = CallIdentity(call.branch.path, *fan_out_known_by(children), 0)
        if self._operations.is_over(awaited) or not self._operations.inherits(call.identity):
            return False
        if self._options.at_most_once:
            raise self._operations.break_off(
                f"The tool {self._tool} may be called at most once; the task that this one goes on from had called it, "
                "and had cancelled it before it ended. Find out what happened outside, then submit the rest anew."
            )
        self._before.append(str(self._operations.task_id))
        return True

    async def _awaited(self, begun: dict[str, Any]) -> tuple[dict[str, Any], Exception | None]:
        """Return the result of the server's task, and the error in its place."""
        directive = self._watching(begun)
        child = cast("list[ChildOutcome]", await self._doing.wait(directive))[0]
        if child.error is not None:
            return {}, from_info(child.error)
        return child.result["result"], None

    def _watching(self, begun: dict[str, Any]) -> FanOut:
        """Return the directive that waits for the server's task; of the budget, it takes a part of nothing but time."""
        child = Child(
            own_agent("mcp-watch"),
            {
                "url": self._server.url,
                "declared": self._server.has_headers,
                "tool": self._tool,
                "remote": begun["taskId"],
                "interval": seconds_of(begun.get("pollIntervalMs")),
                "answered_by": self._signal,
            },
        )
        directive = FanOut([child], then=HERE)
        directive.only_watches = True
        return directive

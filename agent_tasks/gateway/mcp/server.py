"""The server of the SDK with our handlers: tools from what agents say, tasks from the store."""

from importlib.metadata import version

from mcp import types
from mcp.server.lowlevel import Server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.calls import Calls
from agent_tasks.gateway.mcp.catalogue import Catalogue
from agent_tasks.gateway.mcp.errors import TASKS
from agent_tasks.gateway.mcp.listening import Listening, ListenParams
from agent_tasks.gateway.mcp.operator import TOOLS, may_operate
from agent_tasks.gateway.mcp.passage import Context, Passage, telling
from agent_tasks.gateway.mcp.tasks import TaskParams, Tasks, UpdateParams

_INSTRUCTIONS = """
Each tool is an agent that works durably: a call may take from seconds to days, and goes on whatever happens to this
server. A client that knows the extension io.modelcontextprotocol/tasks is answered with a task where it takes long.
"""


def make_server(passage: Passage, catalogue: Catalogue) -> "Server[dict[str, object]]":
    """Return a server of a deployment. It keeps nothing: any number of them serve one deployment."""
    calls, tasks = Calls(passage, catalogue), Tasks(passage)

    async def list_tools(ctx: Context, params: types.PaginatedRequestParams) -> types.ListToolsResult:
        def look(gate: Gate, caller: Caller) -> list[types.Tool]:
            tools = catalogue.tools()
            shown = [each.shown for each in tools.values() if each.may_be_run_by(caller.identity)]
            if may_operate(caller.identity):
                shown += [each.shown(name) for name, each in TOOLS.items() if name not in tools]
            return shown

        return types.ListToolsResult(tools=await passage.perform(ctx, look))

    async def discover(ctx: Context, params: types.RequestParams) -> types.DiscoverResult:
        found = server.get_capabilities(protocol_version=ctx.protocol_version)
        # the SDK takes from `subscriptions/listen` that changes of the list are told; told are those of tasks
        capabilities = found.model_copy(update={"tools": types.ToolsCapability(list_changed=False)})
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=capabilities,
            instructions=server.instructions,
        )

    server: Server[dict[str, object]] = Server(
        "agent-tasks",
        version=version("agent-tasks"),
        instructions=" ".join(_INSTRUCTIONS.split()),
        get_tool_input_schema=catalogue.seen_schema,
    )
    server.extensions[TASKS] = {}
    server.add_request_handler("server/discover", types.RequestParams, discover)
    server.add_request_handler("tools/list", types.PaginatedRequestParams, telling(list_tools))
    server.add_request_handler("tools/call", types.CallToolRequestParams, telling(calls.call))
    server.add_request_handler("tasks/get", TaskParams, telling(tasks.get))
    server.add_request_handler("tasks/update", UpdateParams, telling(tasks.update))
    server.add_request_handler("tasks/cancel", TaskParams, telling(tasks.cancel))
    server.add_request_handler("subscriptions/listen", ListenParams, telling(Listening(passage).listen))
    return server

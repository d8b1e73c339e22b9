"""McpServer: an MCP server whose tools steps call."""

from agent_tasks.authoring.peers.peer import Peer


class McpServer(Peer):
    """An MCP server with the headers that its requests carry, for `ctx.mcp(server)`.

    ```python
    crm = McpServer("https://crm.example/mcp", headers=lambda identity: {"Authorization": f"Bearer {token()}"})
    ```
    """

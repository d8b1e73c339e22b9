"""Programs elsewhere that steps call: MCP servers and A2A agents, and what becomes of a call that takes long."""

"""Steps that call programs elsewhere: MCP servers and A2A agents, made with the official libraries."""

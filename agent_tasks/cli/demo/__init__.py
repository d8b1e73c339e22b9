"""`agent-tasks demo`: one run from start to report, with a worker killed on the way."""

from agent_tasks.cli.demo.command import demo

__all__ = ["demo"]

"""Loaded as a module of agents: the watchdog of this process waits for two seconds only."""

from agent_tasks.engine.process import watchdog

watchdog.STUCK_SECONDS = 2.0

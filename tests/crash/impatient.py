"""Loaded as a module of agents: the watchdog of this process waits for two seconds only."""

from workers import watchdog

watchdog.STUCK_SECONDS = 2.0

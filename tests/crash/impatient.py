"""Loaded as a module of agents: the watchdog of this process waits for two seconds only."""

import workers.watchdog

workers.watchdog.STUCK_SECONDS = 2.0

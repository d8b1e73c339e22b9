"""Loaded as a module of agents: a step in quarantine gets company after a second."""

from agent_tasks.engine.process import quarantined

quarantined.COMPANY_SECONDS = 1.0

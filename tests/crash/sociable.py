"""Loaded as a module of agents: a step in quarantine gets company after a second."""

import workers.quarantined

workers.quarantined.COMPANY_SECONDS = 1.0

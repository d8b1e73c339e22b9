"""The clock (`celery -A beat beat`) and the sweeper (`celery -A beat worker`). See agent_tasks/sweeps."""

from agent_tasks.sweeps import app

__all__ = ["app"]

"""The worker process, as `celery -A workers worker` starts it from a checkout. See agent_tasks/engine."""

from agent_tasks.engine import app

__all__ = ["app"]

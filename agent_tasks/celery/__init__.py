"""Our part in a Celery app that a team runs: `install(app)` has its workers run steps beside its own tasks."""

from agent_tasks.celery.install import install

__all__ = ["install"]

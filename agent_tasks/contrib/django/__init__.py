"""Django: agents in a project's apps, and tasks submitted in its transactions.

Put `agent_tasks.contrib.django` into INSTALLED_APPS, and the settings into `AGENT_TASKS = {...}`.
"""

try:
    import django as _  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "django":
        raise
    raise ImportError(
        "agent_tasks.contrib.django needs Django: pip install 'agent-tasks[django]'", name="django"
    ) from None

from agent_tasks.contrib.django.submission import submit, submit_many

__all__ = ["submit", "submit_many"]

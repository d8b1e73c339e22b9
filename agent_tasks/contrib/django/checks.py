"""What `manage.py check` says of our settings and of the agents, as every command does before it begins."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error

from agent_tasks.authoring.loading import load_agents, why_not_loaded
from agent_tasks.contrib.django.configuration import given_settings
from agent_tasks.errors import InvalidInput


def check_agents(app_configs: Any = None, **_: Any) -> Sequence[CheckMessage]:
    """Check `AGENT_TASKS`, and that each module of agents loads. Asks no server."""
    try:
        given = given_settings()
    except InvalidInput as error:
        return [Error(error.message, id="agent_tasks.E001")]
    failed = load_agents(given["agents"])
    return [
        Error(f"{module} does not load: {why_not_loaded(module, error)}", id="agent_tasks.E002")
        for module, error in failed.items()
        if module in given["agents"]
    ]

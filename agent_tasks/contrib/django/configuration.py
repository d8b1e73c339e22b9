"""The settings of the project: `AGENT_TASKS`, the agents of its apps, and its database."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.utils.module_loading import module_has_submodule

from agent_tasks.contrib.django.database import url_of
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings

STARTING = "agent_tasks.contrib.django.starting"
"""The module that has Django set up, imported before any agent: a process may be started without manage.py."""

always_default = False
"""Whether the tasks are in DATABASES["default"], whatever is said elsewhere: in tests, where that is another."""


def given_settings() -> dict[str, Any]:
    """Return what the project says of our settings, by the names of their fields; the environment may have the rest.

    Raises InvalidInput for a key that is no setting.
    """
    given = _own_keys(getattr(settings, "AGENT_TASKS", None))
    named = given.get("database_url") or os.environ.get("AGENT_TASKS_DATABASE_URL")
    if always_default or not named:
        default = connections["default"]
        given.pop("database_url", None)
        if default.vendor == "postgresql":
            given["database_url"] = url_of(default.settings_dict)
    given["agents"] = _agents(given.get("agents"))
    return given


def _own_keys(given: Any) -> dict[str, Any]:
    """Return `AGENT_TASKS` with the names of fields; a value of None counts as not given."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f'AGENT_TASKS must be a dict of settings, as in {{"REDIS_URL": "redis://…"}}, not {type(given).__name__}',
            field="AGENT_TASKS",
        )
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = str(key).lower()
        if name not in Settings.model_fields:
            near = get_close_matches(name.removeprefix("agent_tasks_"), Settings.model_fields, 1, 0.6)
            meant = f"; did you mean {near[0].upper()!r}?" if near else ""
            raise InvalidInput(f"AGENT_TASKS has the key {key!r}, which is not a setting{meant}", field=str(key))
        if name in found:
            raise InvalidInput(f"AGENT_TASKS has the setting {name.upper()!r} twice: keep one of them", field=str(key))
        if value is not None:
            found[name] = value
    return found


def _agents(named: Any) -> tuple[str, ...]:
    """Return the modules of agents: those that the settings name, and `agents` of each installed app that has one."""
    if named is None:
        named = os.environ.get("AGENT_TASKS_AGENTS", "")
    modules = [part.strip() for part in named.split(",")] if isinstance(named, str) else [*named]
    own = [f"{app.name}.agents" for app in apps.get_app_configs() if module_has_submodule(app.module, "agents")]
    return tuple(dict.fromkeys(module for module in (STARTING, *modules, *own) if module))

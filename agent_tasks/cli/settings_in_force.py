"""The settings in force, and where each comes from; secrets are masked."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from pydantic import AliasChoices

from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings, dev_environment
from agent_tasks.task.secret_text import SecretText, SecretUrl

DEFAULT = "default"
_WIDTH = 79


@dataclass(frozen=True)
class SettingInForce:
    name: str
    shown: str
    source: str


def lines(settings: list[SettingInForce]) -> Iterator[str]:
    """Yield a line for each setting that somebody set, then all defaults together."""
    for setting in settings:
        if setting.source != DEFAULT:
            yield f"{setting.name:<13} {setting.shown}  ({setting.source})"
    rest = ", ".join(f"{setting.name} {setting.shown or 'none'}" for setting in settings if setting.source == DEFAULT)
    yield from wrap(f"{'defaults':<13} {rest}", width=_WIDTH, subsequent_indent=" " * 14)


def settings_in_force() -> list[SettingInForce]:
    """Return the settings, those that somebody set first; wrong ones are shown as they were given."""
    try:
        values: dict[str, Any] = Settings.load().model_dump()
    except InvalidInput:
        values = {}
    dev = dev_environment() or {}
    found = [_setting(name, values, dev) for name in Settings.model_fields]
    return sorted(found, key=lambda setting: setting.source == DEFAULT)


def masked(name: str, value: Any) -> str:
    """Return `value` as it can be shown to anybody."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return (SecretText(text) if name == "secret_key" else SecretUrl(text)).masked


def _setting(name: str, values: dict[str, Any], dev: dict[str, str]) -> SettingInForce:
    given = next((variable for variable in _variables(name) if variable in os.environ), None)
    value = values.get(name, os.environ[given] if given else "")
    if given is not None:
        source = given
    elif name in dev and value == dev[name]:
        source = "agent-tasks dev"
    else:
        source = DEFAULT
        value = values.get(name, Settings.model_fields[name].default)
    return SettingInForce(name, masked(name, value), source)


def _variables(name: str) -> list[str]:
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str) and choice.isupper()]
    return [f"AGENT_TASKS_{name.upper()}"]

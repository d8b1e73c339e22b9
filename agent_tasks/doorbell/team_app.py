"""The app of a team's that a process of ours rings by: the one that was installed here, or that the settings name."""

from typing import Any

from celery.app.utils import find_app

from agent_tasks.doorbell.installed import Installed, installed
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings


def team_app(settings: Settings) -> Installed | None:
    """Return the installed app, loading the one that AGENT_TASKS_APP names; None if there is none.

    Raises InvalidInput where that does not load, or is not installed.
    """
    if (ours := installed()) is not None or not settings.app:
        return ours
    try:
        found = _itself(find_app(settings.app))
    except Exception as error:  # whatever a module of theirs raises
        reason = f"{type(error).__name__}: {error}"
        raise _wrong(settings, f"does not load: {reason}. Name it as celery -A does, as in shop.celery:app") from error
    ours = installed()
    if ours is None:
        raise _wrong(settings, "is not installed: call agent_tasks.celery.install(app) in its module")
    if _itself(ours.app) is not found:
        raise _wrong(settings, f"is not the app that was installed, which is {ours.app.main!r}: name that one")
    return ours


def _itself(app: Any) -> Any:
    proxied: Any = getattr(app, "_get_current_object", None)
    return app if proxied is None else proxied()


def _wrong(settings: Settings, why: str) -> InvalidInput:
    return InvalidInput(f"AGENT_TASKS_APP names {settings.app}, which {why}.", field="AGENT_TASKS_APP")

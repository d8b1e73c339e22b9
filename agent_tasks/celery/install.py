"""The one line by which a team's Celery app serves agents too."""

import logging
import sys
from types import FrameType
from typing import Any

from celery import Celery, signals

import agent_tasks
from agent_tasks.deployment import ring_anew
from agent_tasks.doorbell.installed import Installed, installed, set_installed
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings
from agent_tasks.task.arguments import check_kind, shown

log = logging.getLogger(__name__)
_Place = tuple[str, int]
_called_at: _Place | None = None
"""Where the line is by which the app of this process was installed."""
_begun = False
"""Whether a worker or a beat of that app has begun here."""


def install(app: Celery, settings: Settings | None = None) -> None:
    """Have this app's workers run the steps of agents beside its own tasks, and its beat tick for them.

    To be called where the app is made, as its module is imported; it connects to nothing, and needs no setting yet.
    `settings` are by default those of the environment; they are also those of `agent_tasks.submit` in this process.
    Where our agents, settings or servers are wrong, one line of the log says so, and the app's own tasks go on.

    A function that makes an app may be called again: the new app then takes the place of the one before.

    Raises InvalidInput for what is no Celery app, for a second app or other settings in one process, and where the
    app's worker has started already.
    """
    global _called_at
    app = _own_object(app)
    if settings is not None:
        check_kind(settings, "settings", Settings, "Settings, as of Settings.load()")
    caller = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    place = caller.f_code.co_filename, caller.f_lineno
    before = installed()
    if before is not None and not _is_made_again(before, app, place):
        _check_again(before, app, settings)
        return
    if app.use_fast_trace_task:
        raise InvalidInput(
            "install(app) was called after the app's worker has started: call it where the app is made, as its module "
            "is imported",
            field="app",
        )
    _called_at = place
    set_installed(Installed(app, settings, _importing_module(caller)))
    signals.celeryd_init.connect(_begin_worker, weak=False)
    signals.beat_init.connect(_begin_beat, weak=False)
    _follow(settings)


def _is_made_again(before: Installed, app: Any, place: _Place) -> bool:
    """Whether this is another app from the same line of a program, and nothing runs that is of the one before."""
    return before.app is not app and place == _called_at and not _begun


def _follow(settings: Settings | None) -> None:
    """Have what was used in this process before follow the app that is installed now."""
    default = agent_tasks._default  # pyright: ignore[reportPrivateUsage]
    if default is not None and settings is not None and default.settings != settings:
        agent_tasks._default = None  # pyright: ignore[reportPrivateUsage]
    ring_anew()


def _own_object(app: Any) -> Any:
    """Return the app itself: `celery.current_app` stands for one. Raises InvalidInput for anything else."""
    if not isinstance(app, Celery):
        raise InvalidInput(f"app must be your Celery app, as in install(app), and is {shown(app)}", field="app")
    proxied: Any = getattr(app, "_get_current_object", None)
    return app if proxied is None else proxied()


def _check_again(before: Installed, app: Any, settings: Settings | None) -> None:
    if before.app is not app:
        raise InvalidInput(
            f"install was called on the app {before.app.main!r} before, and one process serves one app: call it on "
            f"one of the two only, and not on {app.main!r}",
            field="app",
        )
    if before.settings != settings:
        raise InvalidInput(
            "install was called on this app before, with other settings: call it once, with the ones that hold",
            field="settings",
        )
    log.info("install was called on this app before: this call changes nothing")


def _importing_module(frame: FrameType | None) -> str:
    """Return the module in whose import `frame` runs; the path of its file where that runs as a program.

    Not always the module that calls: a function of another one may make the app.
    """
    caller = frame
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    found = frame or caller
    variables = found.f_globals if found is not None else {}
    if variables.get("__name__") != "__main__":
        return str(variables.get("__name__", ""))
    spec = variables.get("__spec__")
    return spec.name if spec is not None else str(variables.get("__file__", ""))


def _begin_worker(sender: str = "", instance: Any = None, conf: Any = None, options: Any = None, **_: Any) -> None:
    global _begun
    ours = installed()
    if ours is not None and getattr(instance, "app", None) is ours.app:
        _begun = True
        from agent_tasks.celery import worker

        worker.begin(ours, sender, conf, options)


def _begin_beat(sender: Any = None, **_: Any) -> None:
    global _begun
    ours = installed()
    if ours is not None and getattr(sender, "app", None) is ours.app:
        _begun = True
        from agent_tasks.celery import beat

        beat.begin(ours, sender)

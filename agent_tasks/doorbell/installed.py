"""The Celery app of a team's that serves steps beside its own tasks, as `agent_tasks.celery.install` has noted it."""

import importlib
import runpy
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Installed:
    """An app on which `install` was called, with what it was given."""

    app: Any
    settings: Any
    """The `Settings` that hold; None: those of the environment, read when they are needed."""
    module: str
    """The module whose import calls `install`; the path of its file where that was run as a program."""


_installed: Installed | None = None


def installed() -> Installed | None:
    """Return the app on which `install` was called in this process; None if there is none."""
    return _installed


def set_installed(new: Installed | None) -> None:
    global _installed
    _installed = new


def installed_by(module: str) -> Installed | None:
    """Import `module`, as an `Installed` names it, and return the app that it installs; None if it installs none."""
    if module.endswith(".py"):
        runpy.run_path(module, run_name="__mp_main__")  # as multiprocessing does for a program that is run anew
    else:
        importlib.import_module(module)
    return installed()

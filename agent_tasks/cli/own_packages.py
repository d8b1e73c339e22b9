"""Our packages `workers` and `beat`, whatever else of those names lies in the current folder."""

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import agent_tasks

BESIDE = Path(agent_tasks.__file__).resolve().parent.parent
NAMES = ("workers", "beat")


def load_own_packages() -> dict[str, ModuleType]:
    """Load them by where they are, beside `agent_tasks`, before anything imports them by name.

    Modules of the current folder can be imported, too, after all that is installed.
    """
    loaded = {name: _load(name) for name in NAMES}
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return loaded


def _load(name: str) -> ModuleType:
    init = BESIDE / name / "__init__.py"
    present = sys.modules.get(name)
    if present is not None and present.__file__ is not None and Path(present.__file__).resolve() == init:
        return present
    spec = spec_from_file_location(name, init, submodule_search_locations=[str(init.parent)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{init} cannot be loaded", name=name)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

"""Watch: what the code of steps does outside of recorded calls, seen as Python sees it."""

import datetime
import hashlib
import inspect
import os
import random
import secrets
import site
import sys
import sysconfig
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import agent_tasks

_LIBRARIES = tuple(
    {*(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")), *site.getsitepackages()}
)
_OURS = str(Path(agent_tasks.__file__).parent)
_BUNDLED = str(Path(_OURS, "bundled"))
_PLAIN = (list, dict, set, deque, Counter, defaultdict, bytearray, int, float, str, tuple, frozenset, bool)
_EFFECTS = (
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.kill",
    "shutil.", "socket.connect", "socket.sendto", "socket.sendmsg", "subprocess.Popen", "sqlite3.connect",
    "smtplib.send", "ftplib.sendcmd", "urllib.Request", "http.client.send",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_VARIES: dict[Any, str] = {
    time.time: "the time", time.time_ns: "the time", time.localtime: "the time", time.gmtime: "the time",
    time.strftime: "the time", time.ctime: "the time", os.urandom: "a random number", os.getpid: "the process id",
    id: "the address of an object",
}  # fmt: skip
_VARYING_CODE: dict[Any, str] = {
    uuid.uuid1.__code__: "a new UUID", uuid.uuid4.__code__: "a new UUID", os.getenv.__code__: "the environment",
    type(os.environ).__getitem__.__code__: "the environment", secrets.token_hex.__code__: "a random number",
    secrets.token_bytes.__code__: "a random number", secrets.token_urlsafe.__code__: "a random number",
    **{
        method.__code__: "a random number"
        for _, method in inspect.getmembers(random.Random, inspect.isfunction)
        if not method.__name__.startswith("_")
    },
}  # fmt: skip
_MAPPING_CODE = (Mapping.get.__code__, Mapping.__contains__.__code__)


class Watch:
    """Tells `found` of each effect and each varying value that code of users has outside of a recorded call."""

    def __init__(self, found: Callable[[str], None], in_call: Callable[[], bool], known: Sequence[str]) -> None:
        """`known`: the functions that steps call by `ctx.call`."""
        self._found = found
        self._in_call = in_call
        self._known = frozenset(known)

    def begin(self) -> None:
        """Watch all threads that begin from now on, and this one."""
        threading.setprofile(self._look)
        sys.setprofile(self._look)

    def end(self) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def state(self) -> dict[str, str]:
        """Return a digest of each plain value that lives as long as the process, by its name."""
        return {name: _digest(value) for name, value in _lasting()}

    def changed(self, before: dict[str, str]) -> list[str]:
        """Return the names of those that are others by now."""
        now = self.state()
        return [name for name, digest in before.items() if now.get(name, digest) != digest]

    def _look(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            if (what := _varying(argument)) and is_users(frame) and not self._in_call():
                self._found(f"{_place(frame)} reads {what}")
        elif event == "call":
            caller = frame.f_back
            if caller is None:
                return
            what = _VARYING_CODE.get(frame.f_code)
            if frame.f_code in _MAPPING_CODE and frame.f_locals.get("self") is os.environ:
                what = "the environment"
            if what == "the environment" and str(frame.f_locals.get("key", "")).startswith("AGENT_TASKS_"):
                return  # settings are the same for all workers of a deployment
            if what and is_users(caller) and not self._in_call():
                self._found(f"{_place(caller)} reads {what}")
            elif self._known and not self._in_call():
                name = f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}"
                if name in self._known and is_users(caller):
                    self._found(
                        f"{_place(caller)} runs {frame.f_code.co_qualname}, which it calls by ctx.call elsewhere"
                    )


def effect_of(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Return what an audit event of Python's does to the world; None if nothing."""
    if event == "open":
        path, _, flags = (*arguments, None, None, None)[:3]
        writes = isinstance(flags, int) and bool(flags & _WRITES) and path != os.devnull
        return f"writes to {path}" if writes and not str(path).endswith(".pyc") else None
    if any(event.startswith(name) for name in _EFFECTS):
        return f"has an effect ({event}{f' {arguments[0]!r}' if arguments else ''})"[:200]
    return None


def user_frame() -> FrameType | None:
    """Return the frame of users' code that is nearest on this thread's stack; None where code of ours is nearer."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        name = frame.f_code.co_filename
        if is_users(frame):
            return frame
        if (name.startswith(_OURS) and "/testing/" not in name) or "importlib" in name:
            return None
        frame = frame.f_back
    return None


def is_users(frame: FrameType) -> bool:
    return _is_users_file(frame.f_code.co_filename)


def _is_users_file(name: str) -> bool:
    if name.startswith(_BUNDLED):
        return True
    return not name.startswith(("<", _OURS, *_LIBRARIES)) and "site-packages" not in name


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"


def _varying(function: Any) -> str | None:
    try:
        if what := _VARIES.get(function):
            return what
    except TypeError:
        return None
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if name in ("now", "utcnow", "today") and isinstance(owner, type) and issubclass(owner, datetime.date):
        return "the time"
    if isinstance(owner, random.Random) and name in ("random", "getrandbits"):
        return "a random number"
    return None


def _lasting() -> Iterator[tuple[str, Any]]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and _is_users_file(file):
            yield from _values_of(module.__name__, vars(module), module.__name__)


def _values_of(prefix: str, values: Any, module: str) -> Iterator[tuple[str, Any]]:
    for name, value in list(values.items()):
        if name.startswith("__"):
            continue
        if isinstance(value, _PLAIN):
            yield f"{prefix}.{name}", value
        elif inspect.isfunction(value) and value.__module__ == module:
            for number, default in enumerate((*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())):
                if isinstance(default, list | dict | set | deque):
                    yield f"default {number} of {prefix}.{name}", default
            for cell in value.__closure__ or ():
                if isinstance(held := _held(cell), list | dict | set | deque | int | float | str):
                    yield f"closure of {prefix}.{name}", held
        elif inspect.isclass(value) and value.__module__ == module:
            yield from _values_of(f"{prefix}.{name}", vars(value), module)


def _held(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty as yet
        return None


def _digest(value: Any) -> str:
    try:
        return hashlib.blake2b(repr(value).encode("utf-8", "replace"), digest_size=8).hexdigest()
    except Exception:  # a repr of the user's, or a container that another thread changes: not to be judged
        return ""

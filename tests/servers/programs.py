"""Server programs for a test, run as the user that may run them, and ended with the test."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

APT_SECONDS = 120


class Program:
    """A server in a process group of its own, with its output in a file; not as root, which most servers refuse."""

    def __init__(self, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [*map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def end(self, number: int = signal.SIGKILL) -> int:
        with suppress(ProcessLookupError):
            os.kill(self._popen.pid, number)
        return self._popen.wait(20)

    def end_all(self) -> None:
        """SIGKILL to the whole group: a server that a script starts is a child of it."""
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(20)

    def wait(self, seconds: float) -> int:
        return self._popen.wait(seconds)


def theirs(*paths: Path) -> None:
    """Give files to the user under whom a `Program` runs, and let it pass through the folders above them."""
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam("nobody")
    for path in paths:
        os.chown(path, account.pw_uid, account.pw_gid)
        for folder in path.parents:
            folder.chmod(folder.stat().st_mode | 0o001)


def installed(
    name: str, folders: Iterable[str] = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")
) -> Path:
    """A program of the distribution, installed with apt where that may be; else the test is skipped, saying why."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *folders])
    found = shutil.which(name, path=path)
    if found is None and os.geteuid() == 0 and sys.platform == "linux" and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", name]):
            argv = ["apt-get", "-qq", *words]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=APT_SECONDS)
        found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed here, and may not be: install the package {name}")
    return Path(found)

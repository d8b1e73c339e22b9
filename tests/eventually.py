"""Waits on a condition instead of sleeping."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T | Literal[False] | None], timeout: float = 30) -> T:
    """The first truthy value of `check`; fails after `timeout` seconds, with the last value told."""
    deadline = time.monotonic() + timeout
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {timeout} seconds; the last value was {value!r}")
        time.sleep(0.02)
    return value

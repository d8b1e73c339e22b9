"""Moments on the way of a step, or of any commit, at which a test may kill its process. Nobody watches otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

Moment = Literal[
    "claimed",  # the claim is committed, the step has not begun
    "returned",  # the step has returned or raised, nothing of its outcome is written
    "halfway",  # in a transaction that commits it, between two of its statements
    "written",  # in that transaction, all is written and nothing is committed
    "committed",  # the outcome is committed, nothing is published
    "half-published",  # Redis has the first of several batches of what is published at once
    "published",  # all is published
]
"""In their order. After a step that its worker goes on from in place, `claimed` of the next one follows `returned`."""
MOMENTS: tuple[Moment, ...] = get_args(Moment)


class Watcher(Protocol):
    """Called in the thread that reaches a moment, with the step's name where that is known.

    `joined`: what the end of a task has changed above it.
    """

    def __call__(self, moment: Moment, step: str | None, joined: Sequence[Mapping[str, Any]]) -> None: ...


_watcher: Watcher | None = None


def watch(watcher: Watcher) -> None:
    """Have `watcher` called at each moment of this process from now on."""
    global _watcher
    _watcher = watcher


def reached(moment: Moment, *, step: str | None = None, joined: Sequence[Mapping[str, Any]] = ()) -> None:
    """Say that the code has come to this moment."""
    if _watcher is not None:
        _watcher(moment, step, joined)

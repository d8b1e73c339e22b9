"""Moments on the way of a step, or of any commit, at which a test may kill its process."""

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
"""The moments in their order; where a worker goes on in place, `claimed` of the next step follows."""
MOMENTS: tuple[Moment, ...] = get_args(Moment)


class Watcher(Protocol):
    """A function that is called in the thread that reaches a moment, with the step's name where that is known.

    `joined`: the rows above a task that its end has changed.
    """

    def __call__(self, moment: Moment, step: str | None, joined: Sequence[Mapping[str, Any]]) -> None: ...


_watcher: Watcher | None = None


def watch(watcher: Watcher) -> None:
    """Have `watcher` called at each moment of this process from now on."""
    global _watcher
    _watcher = watcher


def reached(moment: Moment, *, step: str | None = None, joined: Sequence[Mapping[str, Any]] = ()) -> None:
    """Call the watcher, if there is one: the code has come to this moment."""
    if _watcher is not None:
        _watcher(moment, step, joined)

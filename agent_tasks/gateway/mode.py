"""Whether the answer to a submit waits for the task's end: what the request asks for, what the agent says, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent_tasks.authoring.agent import ModeName
from agent_tasks.authoring.expectation import AUTO_SECONDS, is_long
from agent_tasks.gateway.prefer import LONGEST_SECONDS, Preference


@dataclass(frozen=True)
class Mode:
    """How a submit is answered: at once, or with the task's end where that comes within `wait_seconds`."""

    name: Literal["sync", "async"]
    wait_seconds: float
    why: str
    applied: str | None = None
    """The preference of the request that was followed."""

    @property
    def headers(self) -> dict[str, str]:
        """`Preference-Applied`, as in RFC 7240, section 3."""
        return {"Preference-Applied": self.applied} if self.applied else {}


def choose(
    asked: ModeName | None,
    declared: ModeName,
    hints: Sequence[str],
    input: Any,
    past: Callable[[], float | None],
    prefer: Preference,
) -> Mode:
    """The mode of one submit: as the request asks, else as it prefers, else as the agent declares.

    `hints` are words and phrases in an input that make `auto` answer at once. `past` says how long 95 % of
    the agent's last runs took at most, and is asked only where it matters. The reason has no number of it: the runs
    may be those of other tenants.
    """
    if asked is None and prefer.wait_seconds is not None:
        return _waiting(prefer.wait_seconds, f"the request prefers wait={prefer.wait_seconds}", prefer)
    if asked is None and prefer.is_async:
        return Mode("async", 0, "the request prefers respond-async", "respond-async")
    name, who = (asked, "the request asks for") if asked else (declared, "the agent is declared as")
    if name == "async":
        return Mode("async", 0, f"{who} async")
    if name == "sync":
        return _waiting(LONGEST_SECONDS if prefer.wait_seconds is None else prefer.wait_seconds, f"{who} sync", prefer)
    is_too_long, why = is_long(hints, input, past)
    if is_too_long:
        return Mode("async", 0, f"auto: {why}")
    return _waiting(AUTO_SECONDS if prefer.wait_seconds is None else prefer.wait_seconds, f"auto: {why}", prefer)


def _waiting(seconds: float, why: str, prefer: Preference) -> Mode:
    applied = None if prefer.wait_seconds is None else f"wait={prefer.wait_seconds}"
    return Mode("sync" if seconds else "async", seconds, why, applied)

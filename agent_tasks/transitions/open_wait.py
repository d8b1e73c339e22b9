"""The waits that a step is in: what is shown of them, and which of them are over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from agent_tasks.transitions.ledger import RecordedCall

SHOWN = 20
"""The number of its waits that a parked task shows; the ledger has them all."""


class WaitRecord(TypedDict):
    """A wait as the ledger keeps it, and as `waiting_for` shows it. One whose call is `started` is open."""

    kind: str
    since: str
    until: str | None
    name: NotRequired[str]
    names: NotRequired[list[str]]
    mode: NotRequired[str]
    wait_id: NotRequired[str]
    wait_ids: NotRequired[dict[str, str]]


@dataclass(frozen=True, slots=True)
class OpenWait:
    """A wait that a step is in."""

    record: RecordedCall
    shown: dict[str, Any]
    """What is kept of it beside its times, as a `WaitRecord`."""
    age: float
    """How many seconds ago it began, in this run."""
    seconds: float | None
    """How many seconds it lasts from then on, at most; None: to `until`, or without end."""
    until: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the ledger has it as it is: it is written once."""
        return self.record.status == "started" and self.record.wait is not None

    @property
    def known(self) -> dict[str, Any]:
        """What the ledger has of it, or had before it was begun again."""
        return self.record.wait or {}

    def is_due(self, now: datetime) -> bool:
        """Whether its time is over, where `now` is the database's."""
        if self.known or self.until is not None:
            until = self.known.get("until", self.until)
            return until is not None and datetime.fromisoformat(until) <= now
        return self.seconds is not None and self.age >= self.seconds


class WaitingSignal(TypedDict):
    """A signal in the inbox of a task."""

    seq: int
    name: str
    wait_id: str | None


@dataclass(frozen=True, slots=True)
class Over:
    """A wait that is over: by these signals, or, without any, since its time is."""

    wait: OpenWait
    seqs: Sequence[int] = ()


def over(waits: Iterable[OpenWait], inbox: Iterable[WaitingSignal], now: datetime) -> list[Over]:
    """Return which of these waits are over, in the order in which that came.

    Any of several signals: the one that came first. All of several: the first of each, when none is missing. No signal
    is for two waits: it is for the one that was begun first. One that came in time goes before the time-out.
    """
    left: dict[str, dict[int, str | None]] = {}
    for signal in inbox:
        left.setdefault(signal["name"], {})[signal["seq"]] = signal["wait_id"]
    by_signal: list[Over] = []
    by_time: list[Over] = []
    for wait in waits:
        ids: dict[str, str] = wait.shown.get("wait_ids", {})
        firsts = {name: seq for name, own in ids.items() if (seq := _first(left.get(name, {}), own)) is not None}
        taken = list(firsts)
        if wait.shown.get("mode") != "all":
            taken = sorted(firsts, key=firsts.__getitem__)[:1]
        elif len(firsts) < len(ids):
            taken = []
        if taken:
            by_signal.append(Over(wait, [firsts[name] for name in taken]))
            for name in taken:
                del left[name][firsts[name]]
        elif wait.is_due(now):
            by_time.append(Over(wait))
    return sorted(by_signal, key=lambda each: max(each.seqs)) + by_time


def _first(signals: dict[int, str | None], own: str) -> int | None:
    """The first signal that is for any wait, or for the one with this id."""
    return next((seq for seq, wait_id in signals.items() if wait_id in (None, own)), None)


def shown_of(wait_ids: dict[str, str], mode: str, more: int = 0) -> dict[str, Any]:
    """What a wait for these signals is shown as; by the id of its own name an answer is for it alone.

    `wait_id` is there where it is that of each name. `more`: of other names that are not shown.
    """
    label = ", ".join(wait_ids) + (f" and {more} more" if more else "")
    shown = {"kind": "signal", "name": label, "names": list(wait_ids), "mode": mode, "wait_ids": wait_ids}
    ids = set(wait_ids.values())
    return shown | ({"wait_id": ids.pop()} if len(ids) == 1 and not more else {})


def head_of(waits: Sequence[OpenWait]) -> dict[str, Any]:
    """What the task waits for as one: children, if any, beside them signals, else the clock."""
    signals = [wait.shown for wait in waits if wait.shown["kind"] == "signal"]
    head = _head_of_signals(signals) if signals else {"kind": "timer"}
    count = sum(wait.known["children"] for wait in waits if wait.shown["kind"] == "children")
    if not count:
        return head
    name = f"{count} {'child' if count == 1 else 'children'} or {head['name']}" if signals else f"{count} children"
    return head | {"kind": "children", "name": name}


def _head_of_signals(signals: Sequence[dict[str, Any]]) -> dict[str, Any]:
    ids: dict[str, str] = {}
    for name, wait_id in (pair for shown in signals for pair in shown["wait_ids"].items()):
        ids.setdefault(name, wait_id)
    shown = dict(list(ids.items())[:SHOWN]) if len(signals) > 1 else ids
    return shown_of(shown, signals[0]["mode"] if len(signals) == 1 else "any", len(ids) - len(shown))

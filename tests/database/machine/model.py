"""The model: where each task must stand after each move, said in Python and without the SQL that moves it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from agent_tasks import Budget, Identity

DIVIDED = ("tokens", "usd", "steps", "calls")
POISON_CRASHES = 3
FIRST_WAIT = 2
"""The ordinal of the first wait within a step; those below are calls."""
LIVING = ("pending", "running", "waiting")
ENDS = ("completed", "failed", "cancelled", "timeout", "partial")
DIAGRAM: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "claim": (("pending",), ("running",)),
    "go on": (("running",), ("running",)),
    "hand over": (("running",), ("pending",)),
    "park": (("running",), ("waiting",)),
    "retry": (("running",), ("waiting",)),
    "release": (("running",), ("pending",)),
    "expire": (("running",), ("pending",)),
    "wake": (("waiting",), ("pending",)),
    "signal": (("waiting",), ("pending",)),
    "join": (("waiting",), ("pending",)),
    "call in": (("waiting",), ("pending",)),
    "complete": (("running",), ("completed", "partial")),
    "end": (LIVING, ("failed", "cancelled", "timeout", "partial")),
    "undo first": (LIVING, ("pending",)),
    "undone": (("running",), ("pending", "failed", "cancelled", "timeout", "partial")),
    "abandon": (("pending",), ("failed", "cancelled", "timeout", "partial")),
}
"""Each move: from which states it is possible, and into which it leads. None leads out of an end."""


@dataclass(frozen=True)
class Waits:
    kind: str
    names: tuple[str, ...] = ()
    every: bool = False
    on_timeout: str | None = None
    within: bool = False
    """Whether the step is parked by a wait of its own: it takes its signals itself when it goes on."""


@dataclass(frozen=True)
class Checkpoint:
    step: str
    next_step: str | None
    undo: bool = False
    awaits: Waits | None = None
    copied: bool = False
    """From the task that this one was resumed from."""


def nothing() -> dict[str, float]:
    return dict.fromkeys(DIVIDED, 0)


@dataclass(eq=False)
class Task:
    id: UUID
    budget: Budget
    identity: Identity | None = None
    parent: "Task | None" = None
    parent_step: int | None = None
    index: int | None = None
    resumed_from: "Task | None" = None
    status: str = "pending"
    step: str = "echo"
    number: int = 0
    run: int = 0
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    uncounted: int = 0
    suspect: int = 0
    due: bool = False
    """Its lease is over, or what it waits for by the clock has come."""
    stood: bool = False
    """It was paused since its wait began, and its time-out is not moved yet."""
    over_time: bool = False
    """It has used up its seconds."""
    partial: bool = False
    waits: Waits | None = None
    policy: str | None = None
    ending: str | None = None
    undo_step: int | None = None
    undone_steps: set[int] = field(default_factory=set)
    """The numbers of the steps whose undo function has run to its end."""
    spent: dict[str, float] = field(default_factory=nothing)
    beyond: dict[str, float] = field(default_factory=nothing)
    """What it and its ended children have spent above their limits: the money is gone."""
    inbox: list[tuple[str, str | None]] = field(default_factory=list)
    consumed: dict[int, list[tuple[str, str | None]]] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    calls: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict)
    """By ledger step and ordinal: the status, and the run that began it. Waits begin with FIRST_WAIT."""
    awaited_within: Waits | None = None
    """The wait of its own that its step is in, also when it was woken."""
    taken: dict[int, list[list[tuple[str, str | None]]]] = field(default_factory=dict)
    """The signals that each wait within a step took, by the step's number."""
    children: list["Task"] = field(default_factory=list)

    @property
    def living(self) -> bool:
        return self.status in LIVING

    @property
    def undecided(self) -> bool:
        return self.living and self.ending is None

    @property
    def awaited(self) -> list["Task"]:
        """The children of the current FanOut that have not ended."""
        return [child for child in self.children if child.living and child.parent_step == self.number - 1]

    @property
    def heirs(self) -> "Iterator[Task]":
        """In whose books this task's spend is once it has ended: up to the first that lives, or the root."""
        above = self.parent
        while above is not None:
            yield above
            above = None if above.living else above.parent

    def above(self) -> Iterator["Task"]:
        if self.parent is not None:
            yield self.parent
            yield from self.parent.above()

    def below(self) -> Iterator["Task"]:
        for child in self.children:
            yield child
            yield from child.below()

    def reserved(self, name: str) -> float:
        """What is set aside for those below it that live; an ended child passes on what its own still hold."""
        return sum((child.limit(name) or 0) if child.living else child.reserved(name) for child in self.children)

    def limit(self, name: str) -> float | None:
        return getattr(self.budget, name)

    def spend(self, name: str, amount: float) -> None:
        self.spent[name] += amount
        self._note_beyond(name)

    def _note_beyond(self, name: str) -> None:
        limit = self.limit(name)
        if limit is not None:
            self.beyond[name] = max(self.beyond[name], self.spent[name] + self.reserved(name) - limit)

    # --- moves --------------------------------------------------------------------------------------------

    def go(self, move: str, status: str, waits: Waits | None = None) -> None:
        sources, targets = DIAGRAM[move]
        assert self.status in sources, f"{move} is no move of a task that is {self.status}"
        assert status in targets, f"{move} does not lead to {status}"
        self.status, self.waits, self.due, self.stood = status, waits, False, False

    def claimable(self, step: str, number: int) -> bool:
        return (step, number, self.status, self.suspect) == (self.step, self.number, "pending", 0)

    def claim(self) -> None:
        self.go("claim", "running")
        self.run += 1
        self.attempt += 1

    def _commit(self, next_step: str | None, undo: bool = False, awaits: Waits | None = None) -> None:
        self.checkpoints.append(Checkpoint(self.step, next_step, undo, awaits))
        self.spend("steps", 1)
        self.awaited_within = None
        self.number += 1
        if next_step is not None:
            self.step, self.attempt, self.uncounted = next_step, 0, 0
            self.failures = self.crashes = self.suspect = 0

    def go_on(self, next_step: str, *, undo: bool) -> None:
        lapsed = self.due  # who overslept its lease and goes on has not renewed it
        self._commit(next_step, undo)
        self.go("go on", "running")
        self.attempt, self.due = 1, lapsed

    def hand_over(self, next_step: str, *, undo: bool) -> None:
        self._commit(next_step, undo)
        self.go("hand over", "pending")

    def park(self, waits: Waits, *, undo: bool) -> None:
        self._commit("echo", undo, waits)
        self.go("park", "waiting", waits)
        self.deliver()

    @property
    def next_wait(self) -> int:
        """The ordinal of the wait that its step is in, or comes to next."""
        return FIRST_WAIT + len(self.taken.get(self.number, []))

    def park_within(self, waits: Waits) -> None:
        """Neither a try nor a crash, and no commit."""
        self.calls[self.number, self.next_wait] = ("started", self.run)
        self.attempt, self.uncounted = self.attempt - 1, self.uncounted + 1
        self.crashes = self.suspect = 0
        self.awaited_within = waits
        self.go("park", "waiting", waits)
        self.deliver()

    def take(self) -> int | None:
        """The step goes on from its own wait where the signals are there; returns the ordinal of the wait."""
        assert self.awaited_within is not None
        taken = self._there(self.awaited_within)
        if not taken:
            return None
        ordinal = self.next_wait
        self.calls[self.number, ordinal] = ("completed", self.run)
        self._remove(taken)
        self.taken.setdefault(self.number, []).append(taken)
        self.awaited_within = None
        return ordinal

    def spawn(self, children: Sequence["Task"], policy: str, *, undo: bool) -> None:
        for child in children:
            child.parent, child.parent_step = self, self.number
        self.policy = policy
        self.park(Waits("children"), undo=undo)
        self.children += children

    def complete(self, status: str) -> None:
        self._commit(None)
        self.go("complete", status)

    def retry(self) -> None:
        self.failures += 1
        self.go("retry", "waiting", Waits("retry"))

    def release(self) -> None:
        self.go("release", "pending")
        self.attempt, self.uncounted = self.attempt - 1, self.uncounted + 1

    def expire(self) -> None:
        """Its worker has died: it is suspect, or, where it was alone, has crashed."""
        if self.suspect < 2:
            self.suspect += 1
            self.attempt, self.uncounted = self.attempt - 1, self.uncounted + 1
            self.go("expire", "pending")
        elif self.crashes + 1 < POISON_CRASHES:
            self.crashes += 1
            self.go("expire", "pending")
        elif self.ending is None:
            self.end("failed")
        else:
            self.undone(fails=True)

    def wake(self) -> None:
        assert self.waits is not None
        self.step = self.waits.on_timeout or self.step
        self.go("wake", "pending")

    def has_had(self, signal_id: str) -> bool:
        within = [signals for waits in self.taken.values() for signals in waits]
        known = [*self.inbox, *(signal for signals in [*self.consumed.values(), *within] for signal in signals)]
        return signal_id in [known_id for _, known_id in known]

    def receive(self, name: str, signal_id: str | None) -> bool:
        """Whether the signal is new."""
        if signal_id is not None and self.has_had(signal_id):
            return False
        self.inbox.append((name, signal_id))
        self.deliver()
        return True

    def deliver(self) -> None:
        if self.waits is None or self.waits.kind != "signal":
            return
        taken = self._there(self.waits)
        if not taken:
            return
        if not self.waits.within:
            self._remove(taken)
            self.consumed[self.number] = taken
        self.go("signal", "pending")

    def _there(self, waits: Waits) -> list[tuple[str, str | None]]:
        """The signals by which this wait is over; none where it is not."""
        firsts = [next((s for s in self.inbox if s[0] == name), None) for name in waits.names]
        there = [signal for signal in self.inbox if signal in firsts]
        if not there or (waits.every and None in firsts):
            return []
        return there if waits.every else there[:1]

    def _remove(self, taken: list[tuple[str, str | None]]) -> None:
        for signal in taken:
            self.inbox.remove(signal)

    def end(self, status: str) -> None:
        """Its end is decided; what was committed with an undo is undone first."""
        if self._undo_from(self.number):
            self.ending = status
            self.go("undo first", "pending")
        else:
            self.go("end", status)

    def undone(self, *, fails: bool = False) -> None:
        """The undo function that was due has run, or was given up."""
        assert self.undo_step is not None
        assert self.ending is not None
        if not fails:
            self.undone_steps.add(self.undo_step)
        self.go("undone", "pending" if self._undo_from(self.undo_step) else self.ending)

    def _undo_from(self, number: int) -> bool:
        """Whether a step before `number` is to be undone; the last one is next."""
        self_before = [n for n, c in enumerate(self.checkpoints[:number]) if c.undo]
        if self_before or self.undo_step is not None:
            self.attempt = self.uncounted = 0
        self.failures = self.crashes = self.suspect = 0
        if self_before:
            self.undo_step = self_before[-1]
            self.step = f"undo:{self.checkpoints[self.undo_step].step}"
        return bool(self_before)

    def abandon(self) -> None:
        self.go("abandon", self.ending or ("partial" if self.partial else "failed"))

"""What an alert looks for, and from when on it fires."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from agent_tasks.authoring.step import NAME
from agent_tasks.errors import InvalidInput
from agent_tasks.store.queries.alert_values import COUNTED
from agent_tasks.task.arguments import LONGEST_WAIT, check_queue, check_text, check_whole, refused, shown

AlertKind = Literal["waiting", "pending", "unserved", "failures", "spend", "orphans", "deliveries"]
"""What is measured."""
WaitsFor = Literal["signal", "timer", "children", "retry"]
"""What a task can wait for."""
SHORTEST_WINDOW, LONGEST_WINDOW = 60.0, 31 * 86_400.0
LARGEST_LEAST = 10_000
_MOST_USD = 1e12
_LEAST = 10


@dataclass(frozen=True)
class AlertRule:
    """A rule: `kind` is measured every 15 seconds, and the alert fires for as long as that is `threshold` or more.

    `waiting`: for how long the longest wait of a task has lasted; `pending`: for how long the first pending task has
    been so; `unserved`: the same, of tasks whose step no living worker takes from their queue. Of these `threshold` is
    seconds, or a timedelta. `failures`: which share of the tasks that ended within `window` has failed or timed out,
    from above 0 to 1; cancelled ones do not count. `spend`: how many US dollars were charged within `window`.
    `orphans`: how many tasks were given up within it since no worker served them. `deliveries`: how many webhooks were
    tried for the last time within it.

    Raises InvalidInput for what is none of these, and for what a kind does not take.
    """

    kind: AlertKind
    threshold: float | timedelta | None = None
    """None: 60 s of `unserved`, 1 of `orphans` and `deliveries`. The others need one."""
    window: float | timedelta | None = None
    """Seconds, or a timedelta, from a minute to 31 days. None: a day of `spend`, else an hour."""
    agent: str | None = None
    """Only tasks of this agent. Not of `deliveries`."""
    queue: str | None = None
    """Only tasks of this queue. Not of `spend` and `deliveries`."""
    waits_for: WaitsFor | None = None
    """Of `waiting`: only what waits for this."""
    least: int | None = None
    """Of `failures`: from how many ended tasks on a share says anything. None: 10."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(AlertKind):
            raise refused(f"kind must be one of {', '.join(get_args(AlertKind))}", self.kind, "kind")
        kind = _KINDS[self.kind]
        for name in ("window", "agent", "queue", "waits_for", "least"):
            if getattr(self, name) is not None and name not in kind.takes:
                of = ", ".join(each for each, other in _KINDS.items() if name in other.takes)
                raise InvalidInput(f"A rule of the kind {self.kind} takes no {name}; these do: {of}.", field=name)
        object.__setattr__(self, "threshold", kind.threshold_of(self.threshold, self.kind))
        if "window" in kind.takes:
            object.__setattr__(self, "window", _window(self.window, kind.window))
        if "least" in kind.takes:
            object.__setattr__(self, "least", _LEAST if self.least is None else self.least)
            check_whole(self.least, "least", 1, LARGEST_LEAST)
        if self.agent is not None:
            check_text(self.agent, "agent", 64)
            if not NAME.match(self.agent):
                raise refused("agent must be the name of an agent", self.agent, "agent")
        check_queue(self.queue)
        if self.waits_for is not None and self.waits_for not in get_args(WaitsFor):
            raise refused(f"waits_for must be one of {', '.join(get_args(WaitsFor))}", self.waits_for, "waits_for")

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values, "window_seconds": values.pop("window")}


@dataclass(frozen=True)
class _Kind:
    """What a kind takes, and what it is where nothing is said."""

    unit: Literal["seconds", "share", "usd", "count"]
    takes: frozenset[str]
    threshold: float | None = None
    window: float = 3_600.0

    def threshold_of(self, given: Any, kind: str) -> float:
        """Return the threshold as a number. Raises InvalidInput."""
        if given is None and self.threshold is None:
            raise InvalidInput(f"A rule of the kind {kind} needs a threshold: {_SAID[self.unit]}.", field="threshold")
        value: Any = self.threshold if given is None else given
        if self.unit == "seconds" and isinstance(value, timedelta):
            value = value.total_seconds()
        low, high = _RANGES[self.unit]
        is_whole = self.unit != "count" or type(value) is int or (type(value) is float and value.is_integer())
        if type(value) not in (int, float) or not low <= value <= high or not is_whole:
            raise refused(f"threshold of {kind} must be {_SAID[self.unit]}", given, "threshold")
        return float(value)


_RANGES = {"seconds": (1.0, LONGEST_WAIT), "share": (1e-6, 1.0), "usd": (1e-6, _MOST_USD), "count": (1, COUNTED)}
_SAID = {
    "seconds": "seconds, at least 1 and at most a hundred years",
    "share": "a share above 0 and at most 1, as in 0.2 for a fifth",
    "usd": "US dollars, above 0 and at most a trillion",
    "count": f"a whole number from 1 to {COUNTED:,}",
}
_OF_TASKS = frozenset({"agent", "queue"})
_KINDS = {
    "waiting": _Kind("seconds", _OF_TASKS | {"waits_for"}),
    "pending": _Kind("seconds", _OF_TASKS),
    "unserved": _Kind("seconds", _OF_TASKS, 60.0),
    "failures": _Kind("share", _OF_TASKS | {"window", "least"}),
    "spend": _Kind("usd", frozenset({"agent", "window"}), window=86_400.0),
    "orphans": _Kind("count", _OF_TASKS | {"window"}, 1),
    "deliveries": _Kind("count", frozenset({"window"}), 1),
}


def unit_of(kind: str) -> str:
    """Return what a kind is measured in."""
    return _KINDS[kind].unit


def _window(given: Any, default: float) -> float:
    value = default if given is None else given.total_seconds() if isinstance(given, timedelta) else given
    if type(value) not in (int, float) or not SHORTEST_WINDOW <= value <= LONGEST_WINDOW:
        raise InvalidInput(f"window must be seconds, from a minute to 31 days, not {shown(given)}", field="window")
    return float(value)

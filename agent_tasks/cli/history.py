"""The events of a task's history in words."""

from collections.abc import Callable
from typing import Any

from agent_tasks.cli.text import amount, compact, duration, printable
from agent_tasks.task.event import Event, EventType
from agent_tasks.task.snapshot import WaitingFor

Data = dict[str, Any]


def described(event: Event) -> str:
    """Return the event in words; an agent's own event, or one whose data is not as expected, as JSON."""
    phrase = _PHRASES.get(event.type)
    if phrase is None or not isinstance(event.data, dict | None):
        return _as_json(event.data)
    try:
        return printable(phrase(event.data or {}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return _as_json(event.data)


def _as_json(data: Any) -> str:
    return "" if data is None else printable(compact(data))


def _submitted(data: Data) -> str:
    return f"to {data['agent']}, starting at {data['step']}"


def _resumed(data: Data) -> str:
    return f"from task {data['from']} at {_step(data)}"


def _dispatched(data: Data) -> str:
    if data.get("again"):
        return "again: no worker had taken it"
    if data.get("due"):
        return "its time has come"
    if data.get("called_in"):
        return "without the children still running: only its reserve of time is left"
    queue = f" on queue {data['queue']}" if data.get("queue") else ""
    return f"{data['step']}{queue}" if "step" in data else ""


def _claimed(data: Data) -> str:
    place = f" by {data['worker']}" if data.get("worker") else " by the same worker"
    attempt = f", attempt {data['attempt']}" if data["attempt"] > 1 else ""
    return f"{_step(data)}{place}{attempt}"


def _committed(data: Data) -> str:
    return f"{_step(data)}, next {data['next']}" if data.get("next") else _step(data)


def _charged(data: Data) -> str:
    spent = [amount(name, data[name]) for name in ("tokens", "usd") if data.get(name)]
    text = " · ".join(spent) or "nothing"
    text += f" of {data['model']}" if data.get("model") else ""
    return text + (f" by {data['call']}" if data.get("call") else "")


def _budget_low(data: Data) -> str:
    name = data["resource"]
    return f"{amount(name, data['spent'])} of {amount(name, data['limit'])} spent"


def _waiting(data: Data) -> str:
    from agent_tasks.cli.text import awaited

    kind, names = data["kind"], data.get("names")
    if kind == "children":
        return "for its children"
    if kind == "timer":
        return f"until {data['until']}" if data.get("until") else f"for {duration(data['seconds'])}"
    if names is None:
        return f"for a {kind}"
    many = WaitingFor.model_construct(kind=kind, names=names, mode=data.get("mode"))
    most = f", for {duration(data['timeout'])} at most" if data.get("timeout") is not None else ""
    if len(names) > 1 and data.get("mode") is None:
        return f"for the signals {', '.join(names)}{most}"
    return f"for {awaited(many)}{most}"


def _signalled(data: Data) -> str:
    sender = data.get("sender")
    if sender is None:
        who = "a trusted program"
    else:
        who = f"{sender['subject']} of {sender['tenant']}" if sender.get("tenant") else sender["subject"]
        who += "".join(f" through {actor}" for actor in sender.get("actors") or ())
    once = f", signal id {data['signal_id']}" if data.get("signal_id") else ""
    return f"{data['name']} by {who}{once}"


def _spawned(data: Data) -> str:
    number = data["children"]
    clamped = data.get("clamped")
    less = f"; {len(clamped)} with less budget than asked for" if clamped else ""
    return f"{number} {'child' if number == 1 else 'children'}: {', '.join(data['agents'])}{less}"


def _undoing(data: Data) -> str:
    return f"committed steps, before it ends as {_end(data)}"


def _not_undone(data: Data) -> str:
    return f"{_step(data)}: {data['error']}"


def _retried(data: Data) -> str:
    return f"{data['step']} in {duration(data['delay'])}, failure {data['failures']}: {data['error']}"


def _expired(data: Data) -> str:
    return "no living worker runs this step" if data.get("orphan") else "its worker fell silent"


def _end(data: Data) -> str:
    """Return the status that the task ends with, and why."""
    why = data.get("error") or ""
    why += f" of {data['resource']}" if data.get("resource") else ""
    why += f" of child {data['child']}" if data.get("child") else ""
    return ": ".join(filter(None, [data.get("status"), why.strip()]))


def _step(data: Data) -> str:
    return f"{data['step']} ({data['step_number']})"


_PHRASES: dict[str, Callable[[Data], str]] = {
    EventType.SUBMITTED: _submitted,
    EventType.RESUMED: _resumed,
    EventType.DISPATCHED: _dispatched,
    EventType.CLAIMED: _claimed,
    EventType.COMMITTED: _committed,
    EventType.CHARGED: _charged,
    EventType.BUDGET_LOW: _budget_low,
    EventType.PARTIAL: lambda _: "result so far kept, in case it ends early",
    EventType.WAITING: _waiting,
    EventType.SIGNALLED: _signalled,
    EventType.SIGNAL_REFUSED: lambda data: f"the waiting step does not accept it: {data['why']}",
    EventType.SPAWNED: _spawned,
    EventType.JOINED: lambda _: "all children have ended",
    EventType.RETRIED: _retried,
    EventType.RELEASED: lambda data: data.get("why", "its worker is stopping"),
    EventType.MOVED: lambda data: f"put on queue {data['queue']}",
    EventType.PRIORITISED: lambda data: f"priority {data['priority']}",
    EventType.EXPIRED: _expired,
    EventType.UNDOING: _undoing,
    EventType.UNDONE: _step,
    EventType.NOT_UNDONE: _not_undone,
    EventType.FINISHED: _end,
}

"""The state machine: whatever is done to tasks in whatever order, they stand where the model says."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from agent_tasks import AgentTasks
from tests.database.machine.clock import Clock
from tests.database.machine.doorbell import Doorbell
from tests.database.machine.moment import set_clock_ahead
from tests.database.machine.outside import Outside
from tests.database.machine.pausing import Pausing
from tests.database.machine.reporting import Reporting
from tests.database.machine.working import Working


class Tasks(Working, Reporting, Clock, Outside, Doorbell, Pausing):
    """All moves."""


FAN_OUT = ("fan_out", {"which": 0, "asks": [None], "undoable": False, "policy": "collect"})
UNDOABLE = ("checkpoint", {"which": 0, "undoable": True, "in_place": False})
CHARGE = ("charge", {"which": 0, "tokens": 30, "usd": 0.5})
WAIT = ("wait", {"which": 0, "names": ("a",), "every": False, "undoable": False, "timeout": 600.0, "on_timeout": None})
TIME_COMES = ("what_it_waits_for_by_the_clock_comes", {"which": 0, "reserve": True, "noticed": True})
FOUND: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a child that undoes what it did outlives its parent, and its spend is not lost": [
        FAN_OUT, FAN_OUT, ("claim", {"which": 0}), CHARGE, UNDOABLE, ("cancel", {"which": 1}),
        ("undo", {"which": 0, "fails": False}),
    ],
    "a parent that was called in does not share out what its children still hold": [
        FAN_OUT, ("claim", {"which": 0}), CHARGE, UNDOABLE, TIME_COMES, FAN_OUT,
    ],
    "a parent and its own parent that are called in at once leave one of them": [
        FAN_OUT, FAN_OUT, ("what_it_waits_for_by_the_clock_comes", {"which": 1, "reserve": True, "noticed": False}),
        TIME_COMES,
    ],
    "a resumed wait takes the signal that came after the old one ran out": [
        WAIT, TIME_COMES, ("signal", {"which": 0, "awaited": False, "name": "a", "signal_id": None}),
        ("cancel", {"which": 0}), ("resume", {"which": 0, "from_step": None}),
    ],
}  # fmt: skip
"""Moves that led to an error once."""
SUBMIT = ("submit", {"budget": None, "named": True, "key": None, "value": 1})
PARK = ("park_within", {"which": 0, "names": ("a",), "every": False, "timeout": 600.0})
SLEEP = ("park_within", {"which": 0, "names": (), "every": False, "timeout": None})
SIGNAL = ("signal", {"which": 0, "awaited": True, "name": "a", "signal_id": "1"})
DIE = ("workers_die", {"which": 0, "undoes": False, "times": 1})
END = ("end", {"which": 0, "how": "done"})
PARKED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a worker lost just after a signal has woken the step costs nothing": [
        PARK, SIGNAL, DIE, ("look_into_the_quarantine", {"which": 0}), ("take", {"which": 0}), SIGNAL, PARK, TIME_COMES,
        END,
    ],
    "a signal that came before the wait wakes the step at once": [
        SUBMIT, ("signal", {"which": 0, "awaited": False, "name": "a", "signal_id": None}), PARK,
        ("claim", {"which": 0}), ("take", {"which": 0}), SLEEP, TIME_COMES, DIE, END,
    ],
    "a task that is cancelled while its step is parked goes on where it is resumed": [
        PARK, ("cancel", {"which": 0}), ("resume", {"which": 0, "from_step": None}), PARK, SIGNAL,
        ("claim", {"which": 0}), ("take", {"which": 0}), ("cancel", {"which": 0}),
        ("resume", {"which": 0, "from_step": 0}), SLEEP, TIME_COMES, END,
    ],
}  # fmt: skip
"""Moves of steps that wait within themselves."""
PAUSE_AGENT = ("pause", {"which": 0, "kind": "agent"})
PAUSE_TASK = ("pause", {"which": 0, "kind": "task"})
UNPAUSE = ("unpause", {"which": 0})
CLAIM = ("claim", {"which": 0})
SWEEP_DIES = ("sweep_of_pauses_dies", {"published": False})
IN_PLACE = ("checkpoint", {"which": 0, "undoable": False, "in_place": True})
PAUSED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a time-out moves by the pause, and then it comes": [WAIT, PAUSE_TASK, TIME_COMES, UNPAUSE, *[TIME_COMES] * 2],
    "so does that of a wait within a step": [PARK, PAUSE_AGENT, TIME_COMES, UNPAUSE, *[TIME_COMES] * 2, CLAIM],
    "a step that is paused hands over, and is not claimed until all pauses have ended": [
        SUBMIT, CLAIM, PAUSE_AGENT, PAUSE_TASK, IN_PLACE, CLAIM,
        UNPAUSE, ("sweep_of_pauses", {}), CLAIM, UNPAUSE, SWEEP_DIES, CLAIM,
    ],
    "children are paused with their parent, and called in once its clock has gone on": [
        FAN_OUT, ("pause", {"which": 1, "kind": "task"}), CLAIM, TIME_COMES, UNPAUSE, *[TIME_COMES] * 2,
    ],
    "what is put off is there again after Redis was lost, or its worker, and nothing is left behind": [
        SUBMIT, SUBMIT, PAUSE_AGENT, CLAIM, ("redis_is_flushed", {}), UNPAUSE, SWEEP_DIES, DIE, PAUSE_TASK,
        ("redis_is_flushed", {}), ("all_pauses_end", {}),
    ],
}  # fmt: skip
"""Moves in which a pause begins and ends."""
KNOWN = FOUND | PARKED | PAUSED


@pytest.fixture
def calm(client: AgentTasks) -> Iterator[AgentTasks]:
    """Nothing falls due by itself while the moves are made, and the database's clock is ahead of ours."""
    set_clock_ahead(client)
    calm = AgentTasks(client.settings.model_copy(update={"ring_seconds": 600.0, "lease_seconds": 60.0}))
    yield calm
    calm.close()


def run(client: AgentTasks, **size: Any) -> None:
    """Fails with the moves that led there, fewest first."""
    always_the_same = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), **size)
    run_state_machine_as_test(lambda: Tasks(client), settings=always_the_same)


@pytest.mark.parametrize("moves", [*KNOWN.values()], ids=[*KNOWN])
def test_these_moves_leave_tasks_where_the_model_says(
    calm: AgentTasks, moves: list[tuple[str, dict[str, Any]]]
) -> None:
    tasks = Tasks(calm)
    for name, arguments in moves:
        getattr(tasks, name)(**arguments)
        tasks.all_is_as_it_must_be()


@pytest.mark.timeout(600)  # where it fails, it looks for the fewest moves that do
def test_after_any_moves_tasks_stand_where_the_model_says(calm: AgentTasks) -> None:
    run(calm, max_examples=10, stateful_step_count=50)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_after_very_many_moves_tasks_stand_where_the_model_says(calm: AgentTasks) -> None:
    run(calm, max_examples=150, stateful_step_count=80)

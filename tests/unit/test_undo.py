"""Undo steps: the function that takes a step's effects back, run as a step of its own."""

from typing import Any

import pytest

from agent_tasks import Agent, Context, InvalidInput, Next, SyncContext
from agent_tasks.engine.process.registration import definition

pytestmark = pytest.mark.usefixtures("no_agents_left_behind")


def cancel_hotel(ctx: SyncContext, guest: str, room: int) -> None: ...
async def cancel_flight(ctx: Context, **everything: Any) -> None: ...


@pytest.fixture
def booking() -> Agent:
    """hotel → flight → pay: the first two have an undo."""
    made = Agent("trip_undone")

    @made.step(undo=cancel_hotel)
    def hotel(ctx: SyncContext, guest: str, beds: int = 1) -> Next:
        return Next(flight, guest=guest, room=7)

    @made.step(undo=cancel_flight)
    async def flight(ctx: Context, guest: str, room: int) -> Next:
        return Next(pay)

    @made.step
    def pay(ctx: SyncContext) -> str:
        return "paid"

    return made


def test_a_worker_can_run_the_undo_of_each_step_that_has_one(booking: Agent) -> None:
    assert list(booking.steps) == ["hotel", "flight", "pay"]
    assert list(booking.runnable) == ["hotel", "flight", "pay", "undo:hotel", "undo:flight"]
    undo = booking.runnable["undo:hotel"]
    assert (undo.function, undo.undoes, undo.task_name) == (cancel_hotel, "hotel", "trip_undone.undo:hotel")
    assert [booking.runnable[name].is_async for name in ("undo:hotel", "undo:flight")] == [False, True]


def test_an_undo_is_no_step_to_go_on_with(booking: Agent) -> None:
    with pytest.raises(InvalidInput, match="hotel, flight, pay"):
        booking.find_step("undo:hotel")
    with pytest.raises(InvalidInput):
        booking.find_step(cancel_hotel)
    assert booking.first_step.name == "hotel"
    assert definition(booking)["first_step"] == "hotel"


def test_an_undo_is_called_with_what_it_declares_of_the_steps_arguments_and_of_its_next_state(booking: Agent) -> None:
    both = {"guest": "ana", "beds": 2, "room": 7}
    assert booking.runnable["undo:hotel"].validate(both) == {"guest": "ana", "room": 7}
    assert booking.runnable["undo:flight"].validate(both) == both
    with pytest.raises(InvalidInput) as caught:
        booking.runnable["undo:hotel"].validate({"guest": "ana"})
    assert caught.value.details["field"] == "room"


def test_an_undo_is_tried_again_even_where_its_step_is_not(booking: Agent) -> None:
    assert booking.steps["hotel"].retry.attempts == 1
    assert booking.runnable["undo:hotel"].retry.attempts == 5
    assert booking.runnable["undo:hotel"].retry.delay(RuntimeError("no answer"), 1) is not None


def no_context() -> None: ...
def by_position(ctx: SyncContext, room: int, /) -> None: ...


@pytest.mark.parametrize("function", [no_context, by_position, 7, "cancel_hotel"])
def test_what_cannot_be_called_as_a_step_is_no_undo_and_refused_where_it_is_declared(function: Any) -> None:
    with pytest.raises(InvalidInput, match=r"undo of mine\.begin") as caught:
        Agent("mine").step(undo=function, name="begin")(lambda ctx: None)
    assert caught.value.details["field"] == "undo"


def test_the_same_function_may_undo_several_steps() -> None:
    mine = Agent("mine")
    mine.step(undo=cancel_flight, name="one")(lambda ctx: None)
    mine.step(undo=cancel_flight, name="two")(lambda ctx: None)
    assert [mine.runnable[name].undoes for name in ("undo:one", "undo:two")] == ["one", "two"]

"""Steps by the names that they had in earlier releases, and the states that those releases recorded."""

from typing import Any

import pytest

from agent_tasks import Agent, InvalidInput, Next, Signal, SyncContext
from agent_tasks.authoring import agent as agents
from agent_tasks.authoring.definition import definition
from agent_tasks.authoring.step import OtherArguments, StateNotMigrated

pytestmark = pytest.mark.usefixtures("no_agents_left_behind")


def take_back(ctx: SyncContext, guest: str, room: int) -> None: ...
def renamed(state: dict[str, Any]) -> dict[str, Any]:
    return {"guest": state["who"]}


@pytest.fixture
def moved() -> Agent:
    made = Agent("moved")

    @made.step(was=["start", "begin"], undo=take_back, migrate_state=renamed)
    def book(ctx: SyncContext, guest: str) -> Next:
        return Next("end", guest=guest)

    @made.step(name="finish", was="end")
    def finish(ctx: SyncContext, guest: str, signal: Signal[int] | None = None) -> str:
        return guest

    return made


def test_a_worker_runs_a_step_and_its_undo_under_each_former_name(moved: Agent) -> None:
    assert list(moved.steps) == ["book", "finish"]
    assert {name: step.task_name for name, step in moved.runnable.items()} == {
        name: f"moved.{name}"
        for name in ("book", "finish", "start", "begin", "end", "undo:book", "undo:start", "undo:begin")
    }
    assert moved.runnable["begin"].function is moved.steps["book"].function
    assert moved.runnable["undo:start"].undoes == "start"
    assert moved.at("end") is moved.runnable["end"]
    assert moved.at("nothing") is None


def test_a_step_that_is_named_by_a_former_name_goes_on_under_the_one_it_has_now(moved: Agent) -> None:
    assert moved.find_step("end") is moved.find_step("finish") is moved.steps["finish"]
    assert moved.first_step.name == "book"


def test_the_payload_of_a_signal_is_known_under_former_names(moved: Agent) -> None:
    assert definition(moved)["payload_schemas"] == {name: {"type": "integer"} for name in ("finish", "end")}


def test_a_state_of_a_former_name_is_always_migrated_and_another_where_it_does_not_fit(moved: Agent) -> None:
    assert moved.runnable["begin"].bind({"who": "ana"}) == {"guest": "ana"}
    assert moved.runnable["begin"].bind({"who": "ana", "guest": "bob"}) == {"guest": "ana"}
    assert moved.steps["book"].bind({"who": "ana"}) == {"guest": "ana"}
    assert moved.steps["book"].bind({"guest": "bob"}) == {"guest": "bob"}


def test_an_undo_keeps_what_the_step_left_behind_beside_the_migrated_arguments(moved: Agent) -> None:
    assert moved.runnable["undo:begin"].bind({"who": "ana", "room": 7}) == {"guest": "ana", "room": 7}
    assert moved.runnable["undo:book"].bind({"guest": "ana", "room": 7}) == {"guest": "ana", "room": 7}


def test_a_migration_that_fails_says_what_to_do(moved: Agent) -> None:
    with pytest.raises(StateNotMigrated) as caught:
        moved.runnable["begin"].bind({"whom": "ana"})
    assert caught.value.message == (
        "The migrate_state of moved.begin did not take the recorded state: KeyError: 'who'. Deploy a release whose "
        "migrate_state takes it, then resume the task."
    )
    assert (caught.value.info.type, caught.value.info.suggested_action) == ("step_failed", "resume")


def test_a_migration_that_makes_no_dict_or_a_wrong_one_is_an_error() -> None:
    mine = Agent("moved_wrongly")

    @mine.step(migrate_state=lambda state: state["made"])
    def go(ctx: SyncContext, to: str) -> None: ...

    with pytest.raises(StateNotMigrated, match="it returned int, not a dict"):
        mine.steps["go"].bind({"made": 7})
    with pytest.raises(OtherArguments, match=r"moved_wrongly\.go does not accept its input: to: Field required"):
        mine.steps["go"].bind({"made": {}})


def test_a_migration_is_given_a_copy_of_the_state() -> None:
    mine = Agent("moved_in_place")

    def in_place(state: dict[str, Any]) -> dict[str, Any]:
        state["to"] = state.pop("who")
        return state

    @mine.step(migrate_state=in_place)
    def go(ctx: SyncContext, to: str) -> None: ...

    recorded = {"who": "ana"}
    assert mine.steps["go"].bind(recorded) == {"to": "ana"}
    assert recorded == {"who": "ana"}


def test_code_that_migrates_takes_other_arguments_than_code_that_does_not(moved: Agent) -> None:
    assert moved.steps["book"].signature == "guest +migrate_state"
    assert moved.steps["finish"].signature == "guest"


def test_a_former_name_is_no_other_steps() -> None:
    mine = Agent("taken")
    mine.step(lambda ctx: None, name="one", was=["first"])
    for name, was in (("two", ["one"]), ("first", []), ("two", ["first"]), ("two", ["two"])):
        with pytest.raises(InvalidInput, match="taken has two steps named"):
            mine.step(lambda ctx: None, name=name, was=was)
    with pytest.raises(InvalidInput, match="no valid name for a step"):
        mine.step(lambda ctx: None, name="two", was=["not a name"])
    assert list(mine.runnable) == ["one", "first"]


@pytest.mark.parametrize("wrong", ["text", 7])
def test_a_migration_is_a_plain_function(wrong: Any) -> None:
    async def later(state: dict[str, Any]) -> dict[str, Any]:
        return state

    mine = Agent("no_migration")
    for given in (wrong, later):
        with pytest.raises(InvalidInput, match="migrate_state must be a plain function of a state"):
            mine.step(lambda ctx: None, name="go", migrate_state=given)


def test_an_agent_of_one_function_may_have_had_another_function() -> None:
    @agents.agent("one_moved", was=["before"], migrate_state=renamed)
    def now(ctx: SyncContext, guest: str) -> None: ...

    assert agents.find_agent("one_moved").runnable["before"].bind({"who": "ana"}) == {"guest": "ana"}

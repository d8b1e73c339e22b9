"""Signals: what a step that waits accepts, and what it is handed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, Field

from agent_tasks import Agent, Context, Identity, InvalidInput, Signal, SyncContext
from agent_tasks.authoring import agent as agents
from agent_tasks.engine.process.registration import definition

SENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("no_agents_left_behind")


class Approval(BaseModel):
    ok: bool
    amount: int = Field(default=0, ge=0)


def made(function: Any) -> agents.Step:
    mine = Agent("mine")
    mine.step(function)
    return mine.first_step


def sent(name: str = "approval", payload: Any = None, **more: Any) -> dict[str, Any]:
    """As the inbox has it."""
    return {"name": name, "payload": payload, "signal_id": None, "sender": None, "sent_at": SENT, **more}


def one(ctx: SyncContext, signal: Signal[Approval]) -> None: ...
def or_none(ctx: SyncContext, draft: str, signal: Signal[Approval] | None) -> None: ...
def in_text(ctx: SyncContext, signal: "Signal[Approval] | None" = None) -> None: ...
def by_name(ctx: SyncContext, signal: dict[str, Signal[Approval]]) -> None: ...
def by_name_or_none(ctx: SyncContext, signal: dict[str, Signal[Approval]] | None) -> None: ...
async def awaited(ctx: Context, signal: Signal[Approval] | None) -> None: ...


DECLARED = [one, or_none, in_text, by_name, by_name_or_none, awaited]


@pytest.mark.parametrize("function", DECLARED)
def test_the_payload_is_what_the_annotation_says_wherever_it_says_it(function: Any) -> None:
    step = made(function)
    assert step.wants == {"signal"}
    assert step.payload_type is not None
    assert step.payload_type.read({"ok": True}) == Approval(ok=True)
    assert step.refusal({"ok": True, "amount": 3}) is None


@pytest.mark.parametrize("function", DECLARED)
@pytest.mark.parametrize(
    ("payload", "field"),
    [({"ok": "perhaps"}, "payload.ok"), ({}, "payload.ok"), ({"ok": True, "amount": -1}, "payload.amount"),
     (None, "payload"), ("yes", "payload"), ([], "payload")],
)  # fmt: skip
def test_a_payload_that_the_annotation_does_not_allow_is_refused_with_the_field_named(
    function: Any, payload: Any, field: str
) -> None:
    why = made(function).refusal(payload)
    assert why is not None
    assert why.startswith(f"{field}: ")


def any_payload(ctx: SyncContext, signal: Signal) -> None: ...  # type: ignore[type-arg]
def any_or_none(ctx: SyncContext, signal: Signal | None) -> None: ...  # type: ignore[type-arg]
def unannotated(ctx: SyncContext, signal) -> None: ...  # type: ignore[no-untyped-def]
def no_signal(ctx: SyncContext) -> None: ...


@pytest.mark.parametrize("function", [any_payload, any_or_none, unannotated, no_signal])
@pytest.mark.parametrize("payload", [None, "yes", {"ok": "perhaps"}, [1]])
def test_without_an_annotation_any_payload_will_do(function: Any, payload: Any) -> None:
    assert made(function).payload_type is None
    assert made(function).refusal(payload) is None


@pytest.mark.parametrize("payload_type", [int, str, list[int], dict[str, Approval], int | None])
def test_a_payload_may_be_of_any_type_that_pydantic_knows(payload_type: Any) -> None:
    def step(ctx: SyncContext, signal: Signal[payload_type] | None) -> None: ...  # type: ignore[valid-type]

    step.__annotations__["signal"] = Signal[payload_type] | None
    declared = made(step).payload_type
    assert declared is not None
    assert (made(step).refusal(None) is None) == (payload_type == int | None)


@pytest.mark.parametrize("function", [one, or_none, in_text, awaited])
def test_a_step_is_handed_the_signal_with_its_payload_and_who_sent_it(function: Any) -> None:
    found = [sent(payload={"ok": True}, signal_id="s", sender={"subject": "ana"})]
    handed = made(function).handed_signal(found, every=False)
    assert handed.payload == Approval(ok=True)
    assert (handed.name, handed.signal_id, handed.sent_at) == ("approval", "s", SENT)
    assert handed.sender == Identity(subject="ana")


@pytest.mark.parametrize("function", [by_name, by_name_or_none])
def test_a_step_that_waited_for_all_is_handed_a_dict_of_them(function: Any) -> None:
    found = [sent("legal", {"ok": True}), sent("finance", {"ok": False})]
    handed = made(function).handed_signal(found, every=True)
    assert {name: signal.payload.ok for name, signal in handed.items()} == {"legal": True, "finance": False}


@pytest.mark.parametrize("function", [or_none, in_text, by_name_or_none, any_or_none, unannotated, awaited])
def test_a_step_is_handed_none_when_no_signal_came(function: Any) -> None:
    assert made(function).handed_signal([], every=False) is None


@pytest.mark.parametrize("function", [one, by_name, any_payload])
def test_a_step_that_cannot_do_without_a_signal_fails_with_its_field_named(function: Any) -> None:
    with pytest.raises(InvalidInput, match=r"mine\."):
        made(function).handed_signal([], every=False)


def test_a_signal_is_not_the_state_of_a_step_and_not_in_its_checkpoint() -> None:
    step = made(or_none)
    assert step.write({"draft": "d"})[1] == {"draft": "d"}
    with pytest.raises(InvalidInput) as caught:
        step.validate({"draft": "d", "signal": None})
    assert caught.value.details["field"] == "signal"


@pytest.mark.parametrize("names", [None, [], ["approval"], ("approval", "payment")])
def test_an_agent_may_declare_the_signals_it_ever_waits_for(names: Any) -> None:
    assert Agent("mine", signals=names).signals == (None if names is None else frozenset(names))


def test_one_name_is_one_name_and_not_its_letters() -> None:
    assert Agent("mine", signals="approval").signals == {"approval"}


@pytest.mark.parametrize("names", ["", [""], ["x" * 129], [7], [None]])
def test_signals_without_a_name_are_refused_where_they_are_declared(names: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Agent("mine", signals=names)
    assert caught.value.details["field"] == "signals"


def test_a_worker_tells_submitters_without_the_code_which_signals_and_payloads_there_are() -> None:
    mine = Agent("mine", signals=["payment", "approval"])
    mine.step(no_signal)
    mine.step(or_none)
    mine.step(any_or_none)
    declared = definition(mine)
    assert declared["signals"] == ["approval", "payment"]
    assert list(declared["payload_schemas"]) == ["or_none"]
    assert declared["payload_schemas"]["or_none"]["required"] == ["ok"]

"""A message of A2A: which signal it was, and how its errors are told."""

from typing import Any

import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")


from agent_tasks import Identity, KeyInUse
from agent_tasks.gateway.a2a.call import Call
from agent_tasks.gateway.a2a.incoming import IncomingMessage, read_message
from agent_tasks.gateway.a2a.values import is_same
from agent_tasks.transitions.signal import SentRow
from tests.gateway.a2a import request

ANA = Identity(subject="ana", tenant="acme")


def asked(*parts: Any, **options: Any) -> IncomingMessage:
    return read_message(request(*parts, **options))


def row(payload: Any, name: str = "approval") -> SentRow:
    sender = {"subject": "ana", "tenant": "acme"}
    return {"name": name, "payload": payload, "sender": sender, "wait_id": "one"}


OBJECT = {"type": "object", "properties": {"ok": {"type": "boolean"}, "remark": {"type": "string"}}}


@pytest.mark.parametrize("parts", [(), ("yes",), ({"ok": True},), ([1, 2.5],), ("fine", {"ok": True}), (1e300,)])
@pytest.mark.parametrize("schema", [None, {"type": "string"}, OBJECT])
def test_what_was_made_of_a_message_is_known_as_it_again(parts: tuple[Any, ...], schema: dict[str, Any] | None) -> None:
    sent = asked(*parts)
    assert sent.is_sent(row(sent.payload(schema, "It")), ANA)


@pytest.mark.parametrize(
    ("parts", "payload"),
    [
        ((), "yes"),
        (("yes",), "no"),
        (("yes",), {"remark": "no"}),
        (("yes",), {"remark": "yes", "ok": True}),
        (({"ok": True},), {"ok": 1}),
        (({"ok": True},), {"ok": True, "remark": "fine"}),
        (("fine", {"ok": True}), {"ok": False, "remark": "fine"}),
        (("fine", {"ok": True}), {"ok": True}),
        (("fine", [1]), {"remark": "fine"}),
        (([1, 2],), [1]),
    ],
)
def test_what_says_something_else_is_not(parts: tuple[Any, ...], payload: Any) -> None:
    assert not asked(*parts).is_sent(row(payload), ANA)


def test_what_is_of_another_sender_signal_or_wait_is_not() -> None:
    assert asked("yes", signal="approval", wait_id="one").is_sent(row("yes"), ANA)
    assert not asked("yes", signal="note").is_sent(row("yes"), ANA)
    assert not asked("yes", wait_id="two").is_sent(row("yes"), ANA)
    for other in (None, Identity(subject="bob", tenant="acme"), Identity(subject="ana", tenant="evil")):
        assert not asked("yes").is_sent(row("yes"), other)
    assert asked("yes").is_sent({**row("yes"), "sender": None}, None)


def test_numbers_are_the_same_as_doubles_and_never_truth_values() -> None:
    assert is_same({"n": [1e22]}, {"n": [10**22]})
    assert not is_same([True], [1])
    assert not is_same([0], [False])


def test_a_key_that_is_in_use_is_told_in_the_answer_to_the_request() -> None:
    call = Call.__new__(Call)
    call.failed = None
    error = call.failure(KeyInUse("It is being accepted. Send it again.", field="idempotency_key"))
    assert call.failed is None
    assert "Send it again" in str(error)

"""The envelope: signed, verified, and refused whatever else it is."""

import base64
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.doorbell.envelope import Envelope, ForgedEnvelope, sign, sign_text, verify
from agent_tasks.task.identity import Identity

KEY = b"a key"
TASK = UUID("0198c2f4-0000-7000-8000-000000000001")
FULL = Envelope(
    task_id=TASK,
    root_id=TASK,
    parent_id=UUID("0198c2f4-0000-7000-8000-000000000002"),
    agent="writer",
    step="outline",
    step_number=3,
    identity=Identity(subject="ana", tenant="acme", scopes=("write",), actors=("planner",)),
    session_id="s-1 é",
    budget={"seconds": 4.5, "tokens": 100},
)
SIGNED = sign(FULL, KEY)


def test_an_envelope_says_who_what_budget_whose_child_and_where() -> None:
    assert verify(SIGNED, KEY) == FULL
    assert verify(SIGNED, KEY).task_name == "writer.outline"


@given(st.integers(min_value=0, max_value=len(SIGNED) - 1), st.characters(max_codepoint=0x2FF))
def test_every_altered_character_is_refused(position: int, character: str) -> None:
    altered = SIGNED[:position] + character + SIGNED[position + 1 :]
    if altered != SIGNED:
        with pytest.raises(ForgedEnvelope):
            verify(altered, KEY)


@given(st.integers(min_value=0, max_value=len(SIGNED) - 1), st.sampled_from(["cut", "double", "insert"]))
def test_every_other_length_is_refused(position: int, how: str) -> None:
    rest = {"cut": position + 1, "double": position - 1, "insert": position}[how]
    middle = "A" if how == "insert" else ""
    altered = SIGNED[:position] + middle + SIGNED[max(rest, 0) :]
    if altered != SIGNED:
        with pytest.raises(ForgedEnvelope):
            verify(altered, KEY)


def test_any_of_several_keys_verifies() -> None:
    assert verify(SIGNED, b"newer", KEY) == FULL
    assert verify(sign(FULL, b"newer"), b"newer", KEY) == FULL
    with pytest.raises(ForgedEnvelope, match="signature"):
        verify(SIGNED, b"newer", b"newest")
    with pytest.raises(ForgedEnvelope, match="signature"):
        verify(SIGNED)


@pytest.mark.parametrize("key", [b"", b"a ke", b"a key ", b"A key"])
def test_another_key_is_refused(key: bytes) -> None:
    with pytest.raises(ForgedEnvelope, match="signature"):
        verify(SIGNED, key)


@given(
    st.none()
    | st.text()
    | st.binary()
    | st.integers()
    | st.floats()
    | st.lists(st.text())
    | st.dictionaries(st.text(), st.text())
    | st.builds(lambda a, b: f"v1.{a}.{b}", st.text(), st.text())
)
def test_garbage_of_any_type_is_refused(garbage: Any) -> None:
    with pytest.raises(ForgedEnvelope):
        verify(garbage, KEY)


@pytest.mark.parametrize("garbage", ["v1.\ud800.x", "v1.x.\ud800", "\ud800.x.x", b"v1.a.b", "v1..", "..", ""])
def test_text_that_cannot_be_encoded_is_refused_too(garbage: Any) -> None:
    with pytest.raises(ForgedEnvelope):
        verify(garbage, KEY)


@pytest.mark.parametrize("payload", ["", "[]", "null", "{}", '"x"', "{", '{"task_id": 7}', "[" * 500])
def test_what_is_signed_but_no_envelope_is_refused(payload: str) -> None:
    with pytest.raises(ForgedEnvelope, match="no envelope"):
        verify(sign_text(payload, KEY), KEY)


def test_a_payload_moved_under_another_signature_is_refused() -> None:
    other = FULL.model_copy(update={"identity": Identity(subject="eve")})
    _, payload, _ = sign(other, KEY).split(".")
    version, _, mac = SIGNED.split(".")
    with pytest.raises(ForgedEnvelope):
        verify(f"{version}.{payload}.{mac}", KEY)


def test_the_version_is_signed_with_the_rest() -> None:
    with pytest.raises(ForgedEnvelope):
        verify("v2" + SIGNED[2:], KEY)


def test_an_envelope_can_be_read_without_the_key_but_holds_no_input() -> None:
    _, payload, _ = SIGNED.split(".")
    assert set(json.loads(base64.urlsafe_b64decode(payload))) == set(Envelope.model_fields)
    assert "input" not in Envelope.model_fields
    assert "state" not in Envelope.model_fields

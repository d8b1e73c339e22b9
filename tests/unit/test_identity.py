"""Identity: who may touch whose tasks, and how it is handed on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_tasks.task.identity import Identity

ANA = Identity(subject="ana", tenant="acme")


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (Identity(subject="ana", tenant="acme"), True),
        (Identity(subject="ana", tenant="acme", scopes=("read",), actors=("x",)), True),
        (Identity(subject="bob", tenant="acme"), False),
        (Identity(subject="bob", tenant="acme", scopes=("tasks:all",)), True),
        (Identity(subject="bob", tenant="acme", scopes=("tasks:*", "tasks", "TASKS:ALL")), False),
        (Identity(subject="ana", tenant="other"), False),
        (Identity(subject="ana"), False),
        (Identity(subject="bob", tenant="other", scopes=("tasks:all",)), False),
        (Identity(subject="Ana", tenant="acme"), False),
    ],
)
def test_a_task_is_for_its_owner_and_for_those_granted_all_of_the_tenant(who: Identity, may: bool) -> None:
    assert who.may_access(ANA) is may


@pytest.mark.parametrize("who", [ANA, Identity(subject="root", scopes=("tasks:all",))])
def test_a_task_of_nobody_is_not_for_anybody(who: Identity) -> None:
    assert not who.may_access(None)


WRITER = Identity(subject="ana", tenant="acme", scopes=("read", "write"), actors=("a",))


@pytest.mark.parametrize(
    ("other", "may"),
    [
        ({}, True),
        ({"scopes": ()}, True),
        ({"scopes": ("write",)}, True),
        ({"scopes": ("write", "tasks:all")}, False),
        ({"actors": ("a", "b")}, True),
        ({"actors": ()}, False),
        ({"actors": ("b",)}, False),
        ({"subject": "eve"}, False),
        ({"tenant": "other"}, False),
    ],
)
def test_one_signs_as_oneself_with_no_more_than_one_has(other: dict[str, Any], may: bool) -> None:
    assert WRITER.may_sign_as(WRITER.model_copy(update=other)) is may


@given(st.lists(st.text(min_size=1)))
def test_each_hop_extends_the_chain_and_changes_nothing_else(hops: list[str]) -> None:
    identity = ANA
    for hop in hops:
        extended = identity.extended(hop)
        assert extended.actors[:-1] == identity.actors
        identity = extended
    assert identity.actors == tuple(hops)
    assert identity.model_copy(update={"actors": ()}) == ANA
    assert ANA.actors == ()


@pytest.mark.parametrize("values", [{"subject": ""}, {"subject": "x" * 257}, {"tenant": "acme"}, {}])
def test_an_identity_needs_a_subject(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Identity(**values)


def test_an_identity_is_not_changed_and_has_no_more_than_it_says() -> None:
    with pytest.raises(ValidationError):
        ANA.subject = "eve"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Identity(subject="ana", admin=True)  # type: ignore[call-arg]


def test_an_identity_survives_json() -> None:
    identity = Identity(subject="ana", tenant="acme", scopes=("a", "b"), actors=("x",))
    assert Identity.model_validate_json(identity.model_dump_json()) == identity

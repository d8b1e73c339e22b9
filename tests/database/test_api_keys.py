"""API keys: made once, known by a digest, and refused when they have ended."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, NewKey, Settings
from agent_tasks.client import keys
from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.gateway.issuer import Issuer
from agent_tasks.gateway.known_keys import KnownKeys
from agent_tasks.gateway.stages.authenticate import authenticate
from tests.database import query
from tests.database.plans import watched
from tests.issuer import running_issuer

UNKNOWN = "There is no such API key"


def made(client: AgentTasks, **values: Any) -> NewKey:
    return client.create_key(**{"tenant": "acme", "subject": "ana", "scopes": ["tasks:write"], **values})


def row(client: AgentTasks, key: NewKey) -> Any:
    return query(client, "SELECT * FROM agent_tasks.api_keys WHERE id = %s", key.id)[0]


@contextmanager
def with_keys(settings: Settings, secret_key: str) -> Iterator[AgentTasks]:
    """A process of the same deployment that has these keys."""
    client = AgentTasks(settings.model_copy(update={"secret_key": secret_key}))
    yield client
    client.close()


def test_a_key_stands_for_whom_it_was_made_for(client: AgentTasks) -> None:
    key = made(client, scopes=["tasks:write", "payments", "tasks:write"])
    assert key.key.startswith(f"at_{key.id}_")
    assert (key.expires_at, key.last_used_at, key.revoked_at) == (None, None, None)
    found = keys.verify(client, key.key)
    assert found.identity == Identity(subject="ana", tenant="acme", scopes=("tasks:write", "payments"))
    assert found.id == key.id


def test_a_key_is_kept_nowhere_and_shown_once(client: AgentTasks) -> None:
    key = made(client)
    secret = key.key.split("_", 2)[2]
    assert secret not in repr(key)
    kept = row(client, key)
    assert secret not in str(kept)
    assert secret.encode() not in bytes(kept["digest"])
    assert len(bytes(kept["digest"])) == 32
    assert [listed.model_dump() for listed in client.keys(None)] == [key.model_dump(exclude={"key"})]


def test_keys_are_listed_by_tenant(client: AgentTasks) -> None:
    ours, theirs, nobodys = made(client), made(client, tenant="umbrella"), made(client, tenant="")
    assert [key.id for key in client.keys(None)] == [ours.id, theirs.id, nobodys.id]
    assert [key.id for key in client.keys("umbrella")] == [theirs.id]
    assert [key.id for key in client.keys("")] == [nobodys.id]
    assert client.keys("nobody") == []


def test_an_unknown_key_and_a_wrong_secret_are_told_in_the_same_words(client: AgentTasks) -> None:
    key, other = made(client), made(client)
    for token in (f"at_{'0' * 16}_{'x' * 43}", f"at_{key.id}_{'x' * 43}", f"at_{key.id}_{other.key.split('_', 2)[2]}"):
        with pytest.raises(Unauthenticated, match=UNKNOWN) as caught:
            keys.verify(client, token)
        assert "agent-tasks keys create" in caught.value.message
        assert key.id not in caught.value.message


@pytest.mark.parametrize(
    "token",
    ["at_", "at__", "at_x_y", f"at_{'0' * 16}", f"at_{'0' * 16}_", f"at_{'0' * 16}_{'x' * 44}", f"at_{'0' * 16}_\x00",
     f"at_{'G' * 16}_{'x' * 43}", f"at_{'0' * 16}_{'ä' * 43}", f"at_{'0' * 16}_{'x' * 43}\n", "at_" + "x" * 100_000,
     "at_\ud800"],
)  # fmt: skip
def test_what_is_no_key_is_told_so_without_a_look_into_the_database(settings: Settings, token: str) -> None:
    nowhere = AgentTasks(settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/x"}))
    with pytest.raises(Unauthenticated, match="no API key"):
        keys.verify(nowhere, token)


def test_a_revoked_key_is_refused_from_then_on(client: AgentTasks) -> None:
    key = made(client)
    keys.verify(client, key.key)
    assert client.revoke_key(key.id)
    first = row(client, key)["revoked_at"]
    with pytest.raises(Unauthenticated, match=rf"{key.id} was revoked.*agent-tasks keys create"):
        keys.verify(client, key.key)
    assert client.revoke_key(key.id)
    assert row(client, key)["revoked_at"] == first
    assert not client.revoke_key("0" * 16)


def test_who_has_only_the_id_of_a_key_does_not_learn_its_state(client: AgentTasks) -> None:
    key = made(client)
    client.revoke_key(key.id)
    with pytest.raises(Unauthenticated, match=UNKNOWN):
        keys.verify(client, f"at_{key.id}_{'x' * 43}")


@pytest.mark.parametrize("expires_in", [3600, 3600.0, timedelta(hours=1)])
def test_a_key_expires_by_the_databases_clock(client: AgentTasks, expires_in: Any) -> None:
    key = made(client, expires_in=expires_in)
    assert key.expires_at is not None
    assert key.expires_at - key.created_at == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=1))
    assert keys.verify(client, key.key).expires_at == key.expires_at
    query(client, "UPDATE agent_tasks.api_keys SET expires_at = clock_timestamp() WHERE id = %s", key.id)
    with pytest.raises(Unauthenticated, match=rf"{key.id} has expired.*agent-tasks keys create"):
        keys.verify(client, key.key)


def test_a_look_up_is_one_statement_and_the_last_use_is_noted_once_a_minute(client: AgentTasks) -> None:
    key = made(client)
    keys.verify(client, key.key)
    first = row(client, key)["last_used_at"]
    assert first is not None
    with watched(buffers=20) as seen:
        found = keys.verify(client, key.key)
    assert {site.rpartition(" ")[2] for site in seen.sites} == {"find"}
    assert not seen.faults, seen.story
    assert found.last_used_at == first
    query(client, "UPDATE agent_tasks.api_keys SET last_used_at = last_used_at - interval '61 s'")
    keys.verify(client, key.key)
    assert row(client, key)["last_used_at"] >= first


def test_a_last_use_that_cannot_be_noted_is_in_nobodys_way(
    client: AgentTasks, caplog: pytest.LogCaptureFixture
) -> None:
    key = made(client)
    query(
        client,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE ON agent_tasks.api_keys FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with caplog.at_level(logging.WARNING):
        assert keys.verify(client, key.key).id == key.id
    assert f"The last use of the API key {key.id} could not be noted: not now" in caplog.text
    assert row(client, key)["last_used_at"] is None


def test_a_key_that_somebody_holds_locked_is_not_waited_for(client: AgentTasks) -> None:
    key = made(client)
    with client.database.transaction() as holder:
        holder.execute("SELECT FROM agent_tasks.api_keys WHERE id = %s FOR UPDATE", [key.id])
        assert keys.verify(client, key.key).id == key.id
    assert row(client, key)["last_used_at"] is None


def test_keys_outlive_the_key_of_the_deployment_that_they_were_made_with(settings: Settings) -> None:
    with with_keys(settings, "old") as old:
        used, unused = made(old), made(old)
    with with_keys(settings, "new,old") as both:
        keys.verify(both, used.key)
        newest = made(both)
    with with_keys(settings, "new") as new:
        assert keys.verify(new, used.key).id == used.id  # its digest is by the new one since its last use
        assert keys.verify(new, newest.key).id == newest.id
        with pytest.raises(Unauthenticated, match=UNKNOWN):
            keys.verify(new, unused.key)
    with with_keys(settings, "old") as old, pytest.raises(Unauthenticated, match=UNKNOWN):
        keys.verify(old, newest.key)


def test_the_digest_is_not_made_with_the_key_that_signs(settings: Settings) -> None:
    with with_keys(settings, "sesame") as client:
        assert b"sesame" not in client.peppers
        assert len(client.peppers[0]) == 32


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"tenant": 5}, "tenant"),
        ({"tenant": None}, "tenant"),
        ({"tenant": "x" * 257}, "tenant"),
        ({"tenant": "a\x00"}, "tenant"),
        ({"subject": ""}, "subject"),
        ({"subject": None}, "subject"),
        ({"subject": "a\x00"}, "subject"),
        ({"scopes": "tasks:write"}, "scopes"),
        ({"scopes": None}, "scopes"),
        ({"scopes": [5]}, "scopes"),
        ({"scopes": [""]}, "scopes"),
        ({"scopes": ["tasks:read tasks:write"]}, "scopes"),
        ({"scopes": ["x" * 257]}, "scopes"),
        ({"scopes": [str(n) for n in range(101)]}, "scopes"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": -1}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"expires_in": "90d"}, "expires_in"),
        ({"expires_in": float("nan")}, "expires_in"),
        ({"expires_in": float("inf")}, "expires_in"),
        ({"expires_in": timedelta(0)}, "expires_in"),
        ({"expires_in": timedelta.max}, "expires_in"),
    ],
)
def test_what_no_key_can_have_is_refused_by_its_name(client: AgentTasks, values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        made(client, **values)
    assert caught.value.details["field"] == field
    assert client.keys() == []


@pytest.mark.parametrize("wrong", [5, "", "a\x00", "x" * 300])
def test_what_can_be_neither_an_id_nor_a_tenant_is_refused(client: AgentTasks, wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        client.revoke_key(wrong)
    if wrong != "":
        with pytest.raises(InvalidInput):
            client.keys(wrong)


@dataclass
class Gate:
    """What authenticates requests."""

    client: AgentTasks
    issuer: Issuer | None = None

    @cached_property
    def keys(self) -> KnownKeys:
        return KnownKeys(partial(keys.verify, self.client))


def test_a_request_comes_with_a_key_or_a_token_of_the_issuer(client: AgentTasks) -> None:
    key = made(client, expires_in=60)
    with running_issuer() as theirs:
        gate = Gate(client, Issuer(theirs.settings()))
        found = authenticate(gate, key.key)
        assert (found.identity, found.key_id, found.expires_at) == (key.identity, key.id, key.expires_at)
        assert authenticate(gate, theirs.token()).identity == Identity(subject="ana")
        with pytest.raises(Unauthenticated, match="an API key or a token of the issuer"):
            authenticate(gate, None)


@pytest.mark.parametrize(
    ("token", "said", "challenge"),
    [
        (None, "with an API key", "Bearer"),
        ("", "neither an API key nor", "Bearer error="),
        ("a.b.c", "takes no tokens of an issuer", "Bearer error="),
        ("sesame", "neither an API key nor", "Bearer error="),
        ("at_sesame", "no API key", "Bearer error="),
    ],
)
def test_a_request_without_a_valid_token_is_told_what_to_send(
    client: AgentTasks, token: str | None, said: str, challenge: str
) -> None:
    with pytest.raises(Unauthenticated, match=said) as caught:
        authenticate(Gate(client), token)
    assert caught.value.challenge.startswith(challenge)


def test_where_authentication_is_off_everybody_is_a_trusted_program(settings: Settings) -> None:
    client = AgentTasks(settings.model_copy(update={"gateway_auth": "off"}))
    for token in (None, "at_sesame", "a.b.c"):
        found = authenticate(Gate(client), token)
        assert (found.identity, found.key_id, found.expires_at) == (None, None, None)

"""Answers from outside: by those who sign."""

import base64

import pytest

from tests.gateway import Caller, problem_of
from tests.gateway.hooks.asked import PAGE, SECRET, SECRETS, Asked, sent, signature


def test_what_is_signed_is_taken_and_known_by_its_id(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed")
    body = b'{"amount":  7}'
    answer = anybody.ask("POST", asked.path, content=body, headers=signature(SECRET, body))
    assert answer.status_code == 200, answer.text
    again = anybody.ask("POST", asked.path, content=b"1", headers=signature(SECRET, b"1"))
    assert again.json() == answer.json()
    payload, signal_id, sender = asked.task.result(20)
    assert (payload, sender) == ({"amount": 7}, None)
    assert signal_id.startswith("hook-")


def test_two_signatures_of_a_secret_that_changes_are_taken_where_one_is_right(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed")
    new = f"whsec_{base64.b64encode(b'n' * 32).decode()}"
    head = signature(SECRET, b"1")
    head["webhook-signature"] = f"v1a,xyz {signature(new, b'1')['webhook-signature']} {head['webhook-signature']}"
    assert anybody.ask("POST", asked.path, content=b"1", headers=head).status_code == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"webhook-signature": "v1,AAAA"}, "No signature"),
        ({"webhook-signature": "nonsense"}, "No signature"),
        ({"webhook-id": "msg_2"}, "No signature"),
        ({"webhook-timestamp": "1700000000"}, "No signature"),
        ({"webhook-timestamp": "yesterday"}, "seconds since 1970"),
        ({"webhook-signature": None}, "not at all"),
        ({"webhook-id": None}, "not at all"),
        ({"webhook-timestamp": None}, "not at all"),
    ],
)
def test_what_is_not_signed_as_it_must_be_is_refused(
    asked: Asked, anybody: Caller, change: dict[str, str | None], said: str
) -> None:
    asked.by("signed", queue="signed")
    head = {name: value for name, value in {**signature(SECRET, b"1"), **change}.items() if value is not None}
    problem = problem_of(anybody.ask("POST", asked.path, content=b"1", headers=head), 403)
    assert said in problem["detail"]
    assert asked.status == "waiting"


def test_other_secrets_other_bodies_and_old_times_are_refused(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed", verify="standard-webhooks:github")
    refused = [
        (b"1", signature(SECRET, b"1"), "No signature"),
        (b"2", signature("whsec_AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=", b"1"), "No signature"),
    ]
    github = SECRETS.rpartition("=whsec_")[2]
    for ago in (301, -330):
        refused.append((b"1", signature(f"whsec_{github}", b"1", ago=ago), "apart"))
    for body, head, said in refused:
        problem = problem_of(anybody.ask("POST", asked.path, content=body, headers=head), 403)
        assert said in problem["detail"], said
    assert anybody.ask("POST", asked.path, content=b"1", headers=signature(f"whsec_{github}", b"1", ago=290)).is_success


def test_a_form_does_not_get_around_the_signature(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed")
    page = anybody.get(asked.path, headers=PAGE)
    assert "for a program" in page.text
    assert "<form" not in page.text
    assert sent(anybody, asked.path, **{"": "1"}).status_code == 403
    assert asked.status == "waiting"

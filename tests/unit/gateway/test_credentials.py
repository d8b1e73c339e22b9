"""What is said to whom comes without a valid token."""

import pytest

from agent_tasks import PermissionDenied
from agent_tasks.gateway.credentials import Unauthenticated


def test_without_a_token_the_challenge_says_only_how_to_come() -> None:
    assert Unauthenticated("Send one.", token_given=False).challenge == "Bearer"


@pytest.mark.parametrize("message", ['of "eve"', "ä\r\nSet-Cookie: x", "a\x00b", "\ud800", "back\\slash"])
def test_a_challenge_is_one_header_whatever_the_token_had_in_it(message: str) -> None:
    error = Unauthenticated(message)
    head, _, description = error.challenge.partition('error_description="')
    assert head == 'Bearer error="invalid_token", '
    assert description.endswith('"')
    assert '"' not in description[:-1]
    assert description.isascii()
    assert description.isprintable()
    error.message.encode()
    assert isinstance(error, PermissionDenied)

"""Keys that were verified a moment ago are not looked up again."""

from datetime import UTC, datetime

import pytest

from agent_tasks.client.keys import ApiKey
from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.gateway.known_keys import KnownKeys

KEY = ApiKey(
    id="1",
    tenant="acme",
    subject="ana",
    scopes=[],
    created_at=datetime.now(UTC),
    expires_at=None,
    last_used_at=None,
    revoked_at=None,
)


class Keys:
    """Keys as Postgres has them, and how often it was asked."""

    def __init__(self) -> None:
        self.valid, self.asked, self.now = {"first": KEY, "second": KEY.model_copy(update={"id": "2"})}, 0, 0.0
        self.known = KnownKeys(self._verify, lambda: self.now)

    def _verify(self, token: str) -> ApiKey:
        self.asked += 1
        if token not in self.valid:
            raise Unauthenticated("There is no such API key.")
        return self.valid[token]


def test_a_key_is_looked_up_once_a_second() -> None:
    keys = Keys()
    assert [keys.known.verify("first").id for _ in range(5)] == ["1"] * 5
    assert keys.asked == 1
    keys.now = 1.0
    keys.known.verify("first")
    assert keys.asked == 2


def test_a_key_that_is_revoked_is_refused_after_a_second() -> None:
    keys = Keys()
    keys.known.verify("first")
    del keys.valid["first"]
    keys.now = 0.99
    keys.known.verify("first")
    keys.now = 1.0
    with pytest.raises(Unauthenticated):
        keys.known.verify("first")


@pytest.mark.parametrize("token", ["third", "ä", "\ud800", ""])
def test_what_is_no_valid_key_is_asked_for_each_time(token: str) -> None:
    keys = Keys()
    for asked in (1, 2):
        with pytest.raises(Unauthenticated):
            keys.known.verify(token)
        assert keys.asked == asked


def test_each_token_is_known_for_itself_and_kept_nowhere() -> None:
    keys = Keys()
    assert [keys.known.verify(token).id for token in ("first", "second", "first")] == ["1", "2", "1"]
    assert "first" not in repr(vars(keys.known))

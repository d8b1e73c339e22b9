"""Tokens of hooks: what is signed comes back, what was altered does not; and the secrets of those who sign."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest

from agent_tasks import HookNotFound, InvalidInput, Settings
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.task.hook_secrets import hook_secrets
from agent_tasks.task.hook_token import HookToken, wait_id_of

TASK = UUID("0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b78")
LINEAGE = UUID("0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77")
UNTIL = datetime(2026, 11, 29, 9, 1, 40, 250_000, tzinfo=UTC)
TOKEN = HookToken(TASK, LINEAGE, "approval", 2, UNTIL, True, None)
KEY = b"the newest"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    "token",
    [
        TOKEN,
        HookToken(TASK, LINEAGE, 'naïve "name", with/all.of\u2028it', 0, None, False, ""),
        HookToken(TASK, LINEAGE, "x" * 128, 2**31 - 1, None, True, "github"),
    ],
)
def test_a_token_comes_back_as_it_was_signed(token: HookToken) -> None:
    text = token.sign(KEY)
    assert HookToken.read(text, [KEY]) == token
    assert HookToken.read(text, [b"a newer one", KEY]) == token
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_token_with_any_character_changed_added_or_taken_away_is_no_token() -> None:
    text = TOKEN.sign(KEY)
    altered = [text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :] for at in range(len(text))]
    altered += [text[:at] + text[at + 1 :] for at in range(len(text))]
    altered += [text + more for more in ("A", "=", ".", " ", "\n", "é", "\x00", "\ud800")]
    altered += ["", ".", "..", "h1..", "h1.e30.", "h1", text.partition(".")[2], "x" * 100_000, text[::-1]]
    for each in altered:
        with pytest.raises(HookNotFound):
            HookToken.read(each, [KEY])


def test_a_token_of_another_task_or_another_key_is_no_token() -> None:
    mine, theirs = (
        TOKEN.sign(KEY).split("."),
        HookToken(UUID(int=7), LINEAGE, "approval", 2, UNTIL, True, None).sign(KEY),
    )
    for forged in (f"h1.{theirs.split('.')[1]}.{mine[2]}", TOKEN.sign(b"another")):
        with pytest.raises(HookNotFound, match="altered or cut short"):
            HookToken.read(forged, [KEY])
    with pytest.raises(HookNotFound):
        HookToken.read(".".join(mine), [])


def test_a_wait_is_known_by_its_lineage_and_the_step_that_opens_it() -> None:
    ids = {wait_id_of(lineage, step) for lineage in (LINEAGE, UUID(int=1)) for step in (0, 1, 11)}
    assert len(ids) == 6
    assert TOKEN.wait_id == wait_id_of(LINEAGE, 2)
    assert str(UUID(TOKEN.wait_id)) == TOKEN.wait_id


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"signal": ""}, "signal"),
        ({"signal": 7}, "signal"),
        ({"signal": "x" * 129}, "signal"),
        ({"expires": 0}, "expires"),
        ({"expires": -5.0}, "expires"),
        ({"expires": float("nan")}, "expires"),
        ({"expires": "1 day"}, "expires"),
        ({"once": 1}, "once"),
        ({"verify": "github"}, "verify"),
        ({"verify": "standard-webhooks:"}, "verify"),
        ({"verify": True}, "verify"),
    ],
)
def test_what_means_nothing_is_refused_and_named(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        HookOptions(**{"signal": "approval", **options})  # type: ignore[arg-type]
    assert caught.value.details["field"] == field


def test_secrets_are_found_by_their_names() -> None:
    found = hook_secrets(f"{SECRET}, github={SECRET},{SECRET} ,")
    assert found == {"": [bytes(range(32))] * 2, "github": [bytes(range(32))]}
    assert hook_secrets("") == {}


@pytest.mark.parametrize(
    "text", ["hunter2-hunter2", "whsec_", "whsec_####", "whsec_c2hvcnQ=", f"git hub={SECRET}", f"={SECRET}x", "a=b"]
)
def test_a_secret_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidInput, match="AGENT_TASKS_HOOK_SECRETS") as caught:
        Settings.load(database_url="postgresql://h/d", redis_url="redis://h", hook_secrets=text)
    assert text.rpartition("whsec_")[2][:6] not in str(caught.value) or text == "whsec_"
    assert SECRET not in repr(Settings(database_url="postgresql://h/d", redis_url="redis://h", hook_secrets=SECRET))

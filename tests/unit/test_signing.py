"""Keys: the newest signs, all verify, and fingerprints give none of them away."""

from base64 import b64decode

import pytest

from agent_tasks.task.callback_secret import callback_secrets
from agent_tasks.task.signing import derived, fingerprints, is_signed, keys_of, mac


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", ()),
        (" , ,", ()),
        ("one", (b"one",)),
        ("new,old", (b"new", b"old")),
        (" new , old ,", (b"new", b"old")),
        ("schlüssel", ("schlüssel".encode(),)),
    ],
)
def test_keys_are_given_with_commas_the_newest_first(text: str, keys: tuple[bytes, ...]) -> None:
    assert keys_of(text) == keys


def test_each_key_verifies_what_it_signed_and_nothing_else() -> None:
    signed = mac(b"data", b"old")
    assert is_signed(b"data", signed, [b"new", b"old"])
    assert not is_signed(b"date", signed, [b"new", b"old"])
    assert not is_signed(b"data", signed, [b"new"])
    assert not is_signed(b"data", b"", [b"new"])
    assert not is_signed(b"data", signed, [])


def test_fingerprints_tell_keys_apart_and_give_none_away() -> None:
    found = fingerprints([b"sesame", b"other"])
    assert found == [*fingerprints([b"sesame"]), *fingerprints([b"other"])]
    assert len(set(found)) == 2
    assert not any("sesame" in print_ or b"sesame".hex() in print_ for print_ in found)


def test_a_key_for_another_use_is_neither_the_key_nor_that_of_a_third_use() -> None:
    found = derived([b"new", b"old"], b"pepper")
    assert found == (*derived([b"new"], b"pepper"), *derived([b"old"], b"pepper"))
    assert len({*found, *derived([b"new", b"old"], b"salt"), b"new", b"old"}) == 6
    assert not is_signed(b"data", mac(b"data", found[0]), [b"new"])


def test_callbacks_of_each_tenant_have_a_secret_of_each_key_that_gives_away_no_other() -> None:
    new, old = callback_secrets([b"new", b"old"], "acme")
    assert callback_secrets([b"old"], "acme") == (old,)
    assert new not in callback_secrets([b"new", b"old"], "other")
    assert all(24 <= len(b64decode(secret.removeprefix("whsec_"))) <= 64 for secret in (new, old))

"""Sync, async, auto: how a submit is answered, and why."""

from typing import Any

import pytest

from agent_tasks.authoring.expectation import LARGE
from agent_tasks.gateway.mode import Mode, choose
from agent_tasks.gateway.prefer import Preference

HINTS = ("in the background", "überprüfen", "計画", "straße", "C++")
SMALL, BIG = {"text": "What is tea?"}, {"text": "x" * LARGE}
QUICK, SLOW = 10.0, 10.1


def unasked() -> float | None:
    raise AssertionError("the past was asked where it does not matter")


def chosen(
    asked: Any = None,
    declared: Any = "async",
    input: Any = None,
    past: float | None = None,
    prefer: Preference | None = None,
    *,
    hints: tuple[str, ...] = HINTS,
) -> Mode:
    return choose(asked, declared, hints, SMALL if input is None else input, lambda: past, prefer or Preference())


def wait(seconds: int) -> Preference:
    return Preference(seconds)


@pytest.mark.parametrize(
    ("asked", "declared", "prefer", "name", "seconds", "why"),
    [
        (None, "async", Preference(), "async", 0, "the agent is declared as async"),
        (None, "sync", Preference(), "sync", 60, "the agent is declared as sync"),
        ("async", "sync", Preference(), "async", 0, "the request asks for async"),
        ("sync", "async", Preference(), "sync", 60, "the request asks for sync"),
        ("sync", "async", wait(5), "sync", 5, "the request asks for sync"),
        ("sync", "async", wait(0), "async", 0, "the request asks for sync"),
        ("async", "async", wait(5), "async", 0, "the request asks for async"),
        (None, "async", wait(5), "sync", 5, "the request prefers wait=5"),
        (None, "auto", wait(30), "sync", 30, "the request prefers wait=30"),
        (None, "sync", wait(0), "async", 0, "the request prefers wait=0"),
        (None, "sync", Preference(None, True), "async", 0, "the request prefers respond-async"),
        (None, "auto", Preference(7, True), "sync", 7, "the request prefers wait=7"),
    ],
)
def test_the_request_comes_before_its_preference_and_that_before_the_agent(
    asked: Any, declared: Any, prefer: Preference, name: str, seconds: float, why: str
) -> None:
    mode = choose(asked, declared, HINTS, SMALL, unasked, prefer)
    assert (mode.name, mode.wait_seconds, mode.why) == (name, seconds, why)


def test_the_answer_says_which_preference_was_followed() -> None:
    assert chosen(prefer=wait(5)).headers == {"Preference-Applied": "wait=5"}
    assert chosen(prefer=Preference(None, True)).headers == {"Preference-Applied": "respond-async"}
    assert chosen("async", prefer=wait(5)).headers == {}
    assert chosen().headers == {}


@pytest.mark.parametrize(
    ("input", "past", "name", "why"),
    [
        (SMALL, None, "sync", "auto: nothing is known of its runs, and the input is small (24 bytes)"),
        (BIG, None, "async", "auto: nothing is known of its runs, and the input is large (8,204 bytes)"),
        (BIG, QUICK, "sync", "auto: 95 % of its last runs took at most 10 s"),
        (SMALL, SLOW, "async", "auto: too many of its last runs took more than 10 s"),
        ({"text": "Do it in the background."}, QUICK, "async", "auto: the input says 'in the background'"),
    ],
)
@pytest.mark.parametrize(("asked", "declared"), [("auto", "sync"), (None, "auto")])
def test_auto_waits_for_what_will_not_take_long(
    asked: Any, declared: Any, input: Any, past: float | None, name: str, why: str
) -> None:
    mode = chosen(asked, declared, input, past)
    assert (mode.name, mode.wait_seconds, mode.why) == (name, 10 if name == "sync" else 0, why)


def test_auto_waits_as_the_request_prefers_where_it_waits() -> None:
    assert chosen("auto", prefer=wait(3)).wait_seconds == 3
    assert chosen("auto", prefer=wait(3), past=SLOW).wait_seconds == 0


@pytest.mark.parametrize(
    "input",
    [
        {"text": "IN THE  Background"},
        {"text": "(in the\nbackground)"},
        {"a": [{"b": ["no", "in the background"]}]},
        "in the background",
        {"text": "Bitte ÜBERPRÜFEN"},
        {"text": "bitte u\u0308berpru\u0308fen!"},
        {"text": "来週の計画を立てて"},
        {"text": "in der STRASSE"},
        {"text": "background in the in the background"},
        {"text": "in C++, please"},
    ],
)
def test_a_hint_is_found_whole_in_any_text_of_the_input(input: Any) -> None:
    assert chosen("auto", input=input).name == "async"


@pytest.mark.parametrize(
    "input",
    [
        {"text": "in the backgrounds"},
        {"text": "within the background"},
        {"text": "in_the_background"},
        {"text": "_in the background"},
        {"text": "überprüfend"},
        {"text": "in the background\u0301"},
        {"in the background": "no"},
        {"a": "in the", "b": "background"},
        {"number": 7, "none": None, "flag": True},
        {},
    ],
)
def test_a_part_of_a_word_a_key_and_two_texts_are_no_hint(input: Any) -> None:
    assert chosen("auto", input=input).name == "sync"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], Preference()),
        (["wait=5"], Preference(5)),
        (["WAIT = 5"], Preference(5)),
        (['wait="5"'], Preference(5)),
        (["wait=0"], Preference(0)),
        (["wait=060"], Preference(60)),
        (["wait=61"], Preference(60)),
        (["wait=" + "9" * 9000], Preference(60)),
        (["respond-async, wait=10"], Preference(10, True)),
        (["respond-async", "wait=10"], Preference(10, True)),
        (["Respond-Async;x=y"], Preference(None, True)),
        (["wait=10; foo=bar"], Preference(10)),
        (['foo="a, wait=1", wait=2'], Preference(2)),
        (['foo; bar="wait=1, \\" wait=3", wait=2'], Preference(2)),
        (["wait=1, wait=2"], Preference(1)),
        (["return=minimal, handling=lenient"], Preference()),
        (["wait"], Preference()),
        (["wait="], Preference()),
        (["wait=-1"], Preference()),
        (["wait=1.5"], Preference()),
        (["wait=1 2"], Preference()),
        (["wait=soon"], Preference()),
        (["wait=٥"], Preference()),
        ([",,;;=,\x00, =5, wait=4"], Preference(4)),
        (['"' + "\\" * 9999, "wait=4"], Preference()),
    ],
)
def test_what_a_request_prefers_is_read_and_nonsense_is_ignored(headers: list[str], found: Preference) -> None:
    assert Preference.parse(headers) == found

"""Exceptions of calls come back from their records so that the code which caught them catches them again."""

import json
from typing import Any

import pytest

from agent_tasks import PayloadTooLarge, StepFailed, UpstreamUnavailable
from agent_tasks.authoring.calls.recorded_errors import rebuild, record
from agent_tasks.task import payloads


def again(error: BaseException) -> BaseException:
    """`error` as a repeat is given it: through JSON, as Postgres keeps it."""
    return rebuild(json.loads(json.dumps(record(error))))


class Refused(Exception):
    """Takes another argument than its message."""

    def __init__(self, code: int, *, hint: str = "") -> None:
        super().__init__(f"refused with {code}")
        self.code = code
        self.hint = hint


class Connected(ConnectionError):
    """Has what cannot be recorded."""

    def __init__(self, client: object) -> None:
        super().__init__("the client is gone")
        self.client = client
        self.status = 503


class Mute(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("says nothing")


class Sealed(LookupError):
    def __init_subclass__(cls) -> None:
        raise TypeError("no class below this one")

    def __init__(self, client: object) -> None:
        super().__init__(client)

    def __str__(self) -> str:
        return "not found"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no number"),
        KeyError("name"),
        OSError(2, "No such file", "/a"),
        TimeoutError(),
        SystemExit(3),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        json.JSONDecodeError("no JSON", "{", 1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_that_can_be_rebuilt_has_its_class_and_its_message(error: BaseException) -> None:
    back = again(error)
    assert isinstance(back, type(error))
    assert str(back) == str(error)
    assert any("not made again" in note for note in back.__notes__)


def test_arguments_and_attributes_that_are_plain_json_come_back() -> None:
    error = OSError(13, "Permission denied", "/etc/shadow")
    back = again(error)
    assert isinstance(back, PermissionError)
    assert (back.errno, back.filename, back.args) == (error.errno, error.filename, error.args)


def test_an_exception_whose_constructor_wants_more_is_a_stand_in_that_the_same_except_catches() -> None:
    refused = again(Refused(429, hint="later"))
    assert isinstance(refused, Refused)
    assert (str(refused), refused.code, refused.hint) == ("refused with 429", 429, "later")
    connected = again(Connected(object()))
    assert isinstance(connected, Connected)
    assert (str(connected), connected.status) == ("the client is gone", 503)
    assert not hasattr(connected, "client")
    assert type(connected).__name__ == "Connected"


def test_an_exception_whose_class_is_gone_has_its_nearest_remaining_base() -> None:
    kept = record(Connected(object()))
    kept["kinds"][0] = "a.module.that.is.gone:Connected"
    back = rebuild(kept)
    assert isinstance(back, ConnectionError)
    assert not isinstance(back, Connected)
    assert (type(back).__name__, str(back)) == ("Connected", "the client is gone")


def test_an_exception_of_a_class_within_a_function_has_its_nearest_base() -> None:
    class Local(TimeoutError):
        pass

    back = again(Local("slow"))
    assert isinstance(back, TimeoutError)
    assert (type(back).__name__, str(back)) == ("Local", "slow")


def test_an_exception_class_that_allows_no_subclass_gives_way_to_its_base() -> None:
    back = again(Sealed(object()))
    assert isinstance(back, LookupError)
    assert str(back) == "not found"


def test_an_exception_that_cannot_be_shown_keeps_its_class() -> None:
    back = again(Mute("x"))
    assert isinstance(back, Mute)


@pytest.mark.parametrize(
    "error",
    [
        UpstreamUnavailable("overloaded", retry_after=20, model="large"),
        StepFailed("it broke", step="draft"),
        PayloadTooLarge("too much", size=3, limit=2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_typed_error_has_all_that_it_had(error: Any) -> None:
    back = again(error)
    assert type(back) is type(error)
    assert back.info == error.info  # type: ignore[attr-defined]


class Overloaded(UpstreamUnavailable):
    """A typed error of a user's, with a constructor of its own."""

    def __init__(self, model: str, queue: int = 0) -> None:
        super().__init__(f"{model} has {queue} before you", retry_after=5, model=model)
        self.queue = queue


def test_a_typed_error_of_a_users_own_keeps_its_class_and_its_info() -> None:
    error = Overloaded("large", 7)
    back = again(error)
    assert isinstance(back, Overloaded)
    assert back.info == error.info
    assert str(back) == str(error)


def test_a_group_comes_back_with_its_members() -> None:
    group = ExceptionGroup("both", [ValueError("one"), ExceptionGroup("inner", [Refused(500)])])
    back = again(group)
    assert isinstance(back, ExceptionGroup)
    refused, others = back.split(Refused)
    assert refused is not None
    assert others is not None
    assert [str(error) for error in others.exceptions] == ["one"]
    assert back.message == "both"


def test_what_json_or_postgres_cannot_hold_is_left_out_and_the_rest_is_kept() -> None:
    error = ValueError("a \x00 and a \ud800")
    error.number = float("nan")  # type: ignore[attr-defined]
    error.large = "x" * 20_000  # type: ignore[attr-defined]
    error.small = "y"  # type: ignore[attr-defined]
    kept = record(error)
    assert json.loads(payloads.encode(kept, "error")) == kept
    assert kept["state"] == {"small": "y"}
    assert isinstance(rebuild(kept), ValueError)


def test_a_long_message_is_cut() -> None:
    assert len(record(ValueError("x" * 10_000))["message"]) == 2000


@pytest.mark.parametrize("kept", [{"type": "OSError", "message": "away"}, {"type": "acme.Gone", "message": ""}])
def test_a_record_of_0_1_0_has_its_type_and_message(kept: dict[str, Any]) -> None:
    back = rebuild(kept)
    assert (type(back).__name__, str(back)) == (kept["type"], kept["message"])

"""Calls are recorded: a repeated step gets outcomes back, and what cannot be trusted is said to be so."""

from pathlib import Path

import pytest

from tests import rows
from tests.agents import notes
from tests.conftest import Fleet
from tests.eventually import eventually


def test_a_step_that_makes_another_call_than_before_ends_as_context_lost(fleet: Fleet, tmp_path: Path) -> None:
    snapshot = fleet.client.submit("rerouted", {"folder": str(tmp_path)}).wait(timeout=30)
    assert (snapshot.status, snapshot.error.type) == ("failed", "context_lost")  # type: ignore[union-attr]
    assert notes(tmp_path) == ["one"]


def test_gathered_calls_keep_their_places_and_only_what_failed_is_made_again(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("gathered", {"folder": str(tmp_path)})
    assert task.result(timeout=30) == [0, 10, 20, 30, 40]
    done = [line.split() for line in notes(tmp_path)]
    assert sorted(number for _, number, _ in done) == ["0", "1", "2", "3", "4"]
    assert len({key for *_, key in done}) == 5
    calls = rows.calls(fleet.client, task.id)
    assert [(c["ordinal"], c["attempts"], c["status"]) for c in calls] == [
        (n, 3 if n == 2 else 1, "completed") for n in range(5)
    ]


@pytest.mark.parametrize("kind", ["object", "nan", "nul", "surrogate", "bytes"])
def test_a_result_that_has_no_json_form_ends_the_task_with_its_place_named(fleet: Fleet, kind: str) -> None:
    snapshot = fleet.client.submit("odd_result", {"kind": kind}).wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert snapshot.error.type == "step_failed"
    assert "result" in snapshot.error.message
    assert snapshot.attempt == 1


@pytest.mark.parametrize("what", ["result", "state", "outcome", "partial", "event"])
def test_a_payload_over_the_limit_ends_the_task_at_once(fleet: Fleet, what: str) -> None:
    limit = fleet.settings.payload_limit
    task = fleet.client.submit("heavy", {"what": what, "size": limit})
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.retryable) == ("payload_too_large", False)
    assert snapshot.error.details["limit"] == limit
    assert len(rows.events(fleet.client, task.id, "claimed")) == 1


def test_a_result_just_below_the_limit_is_kept(fleet: Fleet) -> None:
    size = fleet.settings.payload_limit - 2
    assert len(fleet.client.submit("heavy", {"what": "result", "size": size}).result(timeout=30)) == size


@pytest.mark.parametrize("agent", ["nowhere", "wrong_state"])
def test_a_next_that_leads_nowhere_ends_the_task_as_invalid_input(fleet: Fleet, agent: str) -> None:
    snapshot = fleet.client.submit(agent).wait(timeout=30)
    assert (snapshot.status, snapshot.error.type) == ("failed", "invalid_input")  # type: ignore[union-attr]
    assert "no_such_step" in str(snapshot.error) or "surprise" in str(snapshot.error)


@pytest.mark.parametrize("kind", ["nan", "nul", "object", "surrogate", "large", "mute", "exit", "cancelled"])
def test_an_error_that_is_hard_to_record_still_ends_the_task(fleet: Fleet, kind: str) -> None:
    task = fleet.client.submit("odd_error", {"kind": kind})
    snapshot = task.wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert snapshot.error.type in ("invalid_input", "step_failed", "payload_too_large")
    assert not rows.events(fleet.client, task.id, "expired")


def test_calls_of_a_step_are_written_before_they_are_made(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("at_least_once", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path) == ["called"])
    (call,) = rows.calls(fleet.client, task.id)
    assert (call["status"], call["outcome"], call["ordinal"]) == ("started", None, 0)
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "went"

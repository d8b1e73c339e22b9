"""Validating plans by rules."""

import pytest

from agent_tasks.bundled.planner.results import Validation
from agent_tasks.bundled.planner.rules import by_rules
from tests.unit.planner.texts import PLAN

GOOD = """
Goal: sales staff answer within a day. Out of scope: billing. Owner: Ana for all phases. Budget: 20 days of effort.
Risk: the import fails; then we restore the backup, which is also the rollback. Support and monitoring: Bo.

Phase 1: Import. Two weeks. Done when all 4,000 records are tested.
Phase 2: Pilot, after phase 1. One week. Done when ten users have worked a day with it.
Phase 3: Rollout, after phase 2. One week. Done when all 60 users log in daily.
"""


def validated(text: str) -> Validation:
    result = by_rules("validate_plan", text)
    assert isinstance(result, Validation)
    return result


def found(text: str, kind: str) -> list[str]:
    return [finding.message for finding in validated(text).findings if finding.kind == kind]


def test_a_plan_that_has_everything_is_ready() -> None:
    result = validated(GOOD)
    assert result.findings == []
    assert result.verdict == "ready"
    assert [(phase.number, phase.name, phase.depends_on) for phase in result.phases] == [
        (1, "Import", []),
        (2, "Pilot", [1]),
        (3, "Rollout", [2]),
    ]


@pytest.mark.parametrize(
    ("taken", "put", "message"),
    [
        ("Owner: Ana for all phases.", "", "It does not say who does it."),
        ("which is also the rollback", "", None),
        ("Out of scope: billing.", "", "It does not say what is out of scope."),
        ("Support and monitoring: Bo.", "", "It does not say how it is looked after once it is live."),
        ("Risk: the import fails; then we", "We", "It names no risks."),
        ("Budget: 20 days of effort.", "", "It does not say what it costs."),
    ],
)
def test_what_is_taken_out_of_it_is_missing(taken: str, put: str, message: str | None) -> None:
    assert taken in GOOD
    assert found(GOOD.replace(taken, put), "missing")[:1] == ([message] if message else [])


@pytest.mark.parametrize(
    ("plan", "circle"),
    [
        ("Phase 1: A, after phase 2. Phase 2: B, after phase 1.", "1 (A) → 2 (B) → 1 (A)"),
        (
            "Phase 1: A needs phase 3.\nPhase 2: B follows phase 1.\nPhase 3: C, depends on: 2",
            "1 (A) → 3 (C)",
        ),
        ("Phase 1: A. It must be done before phase 2.\nPhase 2: B, before phase 1", "1 (A) → 2 (B) → 1 (A)"),
        ("Phase 1: A depends on Phase 1.\nPhase 2: B", "waits for itself"),
        ("Phase 1: Design\n- requires Testing\nPhase 2: Testing\n- requires Design", "1 (Design) → 2 (Testing)"),
        ("1. a (needs 3)\n2. b\n3. c (after 1)", "in a circle"),
        ("Schritt 1: A, nach Schritt 2\nSchritt 2: B, abhängig von Schritt 1", "1 (A) → 2 (B)"),
    ],
)
def test_phases_that_wait_for_each_other_are_named(plan: str, circle: str) -> None:
    (message,) = found(plan, "circular")
    assert circle in message


def test_a_duration_is_no_phase() -> None:
    assert found("Phase 1: A\n- starts after 2 weeks\nPhase 2: B\n- after 1 day", "circular") == []


def test_a_phase_that_is_not_there_is_named() -> None:
    assert found("Phase 1: A\nPhase 2: B, after phase 7", "unknown") == [
        "Phase 2 (B) comes after phase 7, which is not in the plan."
    ]


def test_dates_that_run_backwards_are_named() -> None:
    (message,) = found("Phase 1: A\n- ends 2027-05-01\nPhase 2: B\n- after phase 1, ends 2027-04-01", "order")
    assert "2027-04-01" in message


def test_a_plan_with_everything_wrong_is_not_ready() -> None:
    result = validated(PLAN)
    assert result.verdict == "not_ready"
    kinds = {finding.kind for finding in result.findings}
    assert kinds >= {"missing", "circular", "unknown", "open", "untestable"}
    messages = " ".join(finding.message for finding in result.findings)
    assert "number 4 is missing" in messages
    assert "“fast” has no measure" in messages
    assert "TBD: who cleans the duplicates?" in messages
    assert all(finding.suggestion for finding in result.findings)


def test_phases_without_content_are_named() -> None:
    assert len(found("1. design 2. build 3. deploy", "empty")) == 3


def test_a_text_without_phases_says_so() -> None:
    assert "no phases or steps" in found("We will just do it.", "missing")[0]
    assert "no text" in found("\n", "missing")[0]

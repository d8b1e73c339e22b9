"""Plans by rules."""

import pytest

from agent_tasks.bundled.planner.results import Plan
from agent_tasks.bundled.planner.rules import by_rules
from agent_tasks.bundled.planner.writing import problem_of
from tests.unit.planner.texts import GERMAN, MAIL, PLAN, RFP


def planned(text: str) -> Plan:
    result = by_rules("generate_plan", text)
    assert isinstance(result, Plan)
    return result


@pytest.mark.parametrize("text", [RFP, MAIL, GERMAN, "Generate a plan for a shop", "x", "# A\n\nB"])
def test_every_plan_keeps_to_its_form(text: str) -> None:
    plan = planned(text)
    assert problem_of(plan) is None
    assert all(phase.tasks and phase.done_when for phase in plan.phases)
    assert "No model wrote this" in plan.text
    for phase in plan.phases:
        assert f"## Phase {phase.number}: {phase.name}" in plan.text


@pytest.mark.parametrize("text", [RFP, MAIL, GERMAN])
@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 8, 10])
def test_a_plan_has_as_many_phases_as_are_asked_for_and_meets_each_requirement_once(text: str, wanted: int) -> None:
    plan = planned(f"Generate a {wanted}-phase implementation plan for the following:\n{text}")
    assert len(plan.phases) == wanted
    met = [id for phase in plan.phases for id in phase.requirements]
    assert sorted(met) == sorted(requirement.id for requirement in plan.requirements)


@pytest.mark.parametrize(("said", "phases"), [("a ten-phase", 10), ("a 4 phase", 4), ("a three-step", 3)])
def test_the_number_of_phases_may_be_a_word(said: str, phases: int) -> None:
    assert len(planned(f"Create {said} plan for a shop").phases) == phases


def test_a_plan_that_has_no_matter_for_the_phases_asked_for_says_so() -> None:
    plan = planned("Generate a plan with 20 phases for a shop")
    assert len(plan.phases) < 20
    assert "20 were asked for; there is no matter for more." in plan.summary


def test_what_a_short_request_lists_is_planned() -> None:
    plan = planned("Generate a 3-phase implementation plan for a CRM with contact search, SAP export and user roles")
    assert plan.title == "Plan: a CRM"
    assert [requirement.text for requirement in plan.requirements] == ["contact search", "SAP export", "user roles"]


def test_what_others_need_is_built_before_them() -> None:
    text = """# Shop

## Reports
- REP-1: Managers must see sales. It depends on ORD-1.
- REP-2: Managers must see returns.
- REP-3: Managers must print.

## Orders
- ORD-1: Customers must order.
- ORD-2: Customers must cancel.
- ORD-3: Customers must return goods."""
    plan = planned(f"Generate an 8-phase plan for this:\n{text}")
    place = {id: phase.number for phase in plan.phases for id in phase.requirements}
    assert place["ORD-1"] < place["REP-1"]
    reports = plan.phases[place["REP-1"] - 1]
    assert place["ORD-1"] in reports.depends_on


def test_requirements_in_a_circle_are_a_question() -> None:
    assert "Which of these can begin without the others? FR-3 → FR-6 → FR-3" in planned(RFP).open_questions


def test_the_phases_that_a_text_names_are_kept() -> None:
    plan = planned("Phase 1: Design. Phase 2: Build, depends on phase 1. Phase 3: Train, after phase 1.")
    assert [phase.name for phase in plan.phases] == ["Design", "Build", "Train"]
    assert [phase.depends_on for phase in plan.phases] == [[], [1], [1]]


def test_what_is_wrong_with_a_texts_own_phases_is_asked() -> None:
    questions = planned(PLAN).open_questions
    assert (
        "Which of these phases can begin without the others? 1 (Preparation) → 3 (Training) → 1 (Preparation)"
        in questions
    )
    assert any("comes after phase 4, which the text does not have" in question for question in questions)


def test_each_risk_is_answered_in_a_phase_that_there_is() -> None:
    plan = planned(RFP)
    assert plan.risks
    assert all(risk.consequence and risk.response for risk in plan.risks)
    assert {risk.phase for risk in plan.risks} <= {phase.number for phase in plan.phases}

"""Parsing requirements by rules, on texts as people write them."""

import pytest

from agent_tasks.bundled.planner.results import Requirement, Requirements
from agent_tasks.bundled.planner.rules import by_rules
from tests.unit.planner.texts import GERMAN, MAIL, RFP


def parsed(text: str) -> Requirements:
    result = by_rules("parse_requirements", text)
    assert isinstance(result, Requirements)
    return result


def only(text: str) -> Requirement:
    (requirement,) = parsed(text).requirements
    return requirement


def test_a_request_for_proposals_is_sorted() -> None:
    found = parsed(RFP)
    by_id = {requirement.id: requirement for requirement in found.requirements}
    functional = [f"FR-{n}" for n in range(1, 8)]
    qualities = [f"NFR-{n}" for n in range(1, 6)]
    assert set(functional + qualities) < set(by_id)
    assert {by_id[id].kind for id in functional} == {"functional"}
    assert {by_id[id].kind for id in qualities} == {"non_functional"}
    assert [by_id[id].category for id in qualities[:4]] == ["performance", "availability", "usability", "security"]
    assert [by_id[id].priority for id in ("FR-1", "FR-5", "FR-7")] == ["must", "should", "could"]
    assert (by_id["FR-3"].depends_on, by_id["FR-6"].depends_on) == (["FR-6"], ["FR-3"])
    assert [id for id, requirement in by_id.items() if requirement.problem] == ["NFR-3", "NFR-5"]
    assert by_id["FR-2"].actors == ["librarian"]
    assert RFP.split("\n")[(by_id["FR-2"].line or 0) - 1].startswith("FR-2 ")
    assert {actor.name for actor in found.actors} >= {"member", "librarian", "Stripe", "LibTrak"}
    assert found.out_of_scope == ["Interlibrary loans with other cities.", "Self-checkout kiosks."]
    kinds = {(limit.kind, limit.text[:12]) for limit in found.constraints}
    assert kinds >= {
        ("procurement", "Bidders shal"),
        ("budget", "The budget f"),
        ("deadline", "Go-live shal"),
        ("legal", "The solution"),
    }
    assert not any("Bidders" in requirement.text for requirement in found.requirements)


def test_a_mail_is_read_without_what_is_around_it() -> None:
    found = parsed(MAIL)
    assert found.title == "booking tool - quick summary (sorry for the mess)"
    said = "\n".join(requirement.text for requirement in found.requirements)
    for wanted in ("NEED to see who booked what", "calendar sync", "reminders by mail", "must be fast", "DATEV"):
        assert wanted in said
    assert not any(word in found.text for word in ("Head of Sales", "karin@example.org", "Thanks"))
    assert any("who booked" in r.text and r.priority == "must" for r in found.requirements)
    assert any(r.text == "must be fast!!" and r.problem and "“fast”" in r.problem for r in found.requirements)
    assert found.out_of_scope == ["No need for multiple languages for now."]
    assert {limit.kind for limit in found.constraints} >= {"deadline", "budget", "team"}
    assert any(question.startswith("Who is going to host this?") for question in found.open_questions)
    assert any("TBD" in question for question in found.open_questions)
    risks = {risk.name: risk for risk in found.risks}
    assert "only she knows" in risks["One person knows what others need"].evidence
    assert "4000" in risks["Data is lost or wrong after the migration"].evidence or "Access database" in (
        risks["Data is lost or wrong after the migration"].evidence
    )


def test_german_is_read_like_english() -> None:
    found = parsed(GERMAN)
    assert [r.priority for r in found.requirements[:6]] == ["must", "must", "should", "must", "should", "could"]
    assert [r.kind for r in found.requirements].count("non_functional") == 3
    assert {actor.name for actor in found.actors} >= {"Mitarbeiter", "Vorgesetzte", "SAP"}
    assert found.out_of_scope == ["Zeiterfassung und Schichtplanung."]
    assert {limit.kind for limit in found.constraints} == {"legal", "deadline", "budget"}
    assert found.title.startswith("Lastenheft: Digitale Urlaubsverwaltung für die Müller & Söhne")


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        ("The system must log each login.", "must"),
        ("Users cannot delete invoices.", "must"),
        ("Users should find it by name.", "should"),
        ("A dark mode would be nice.", "could"),
        ("The system may cache results.", "could"),
        ("- Export as CSV", "unstated"),
        ("As a clerk, I want to print labels so that I can ship.", "should"),
        ("Das System muß Umlaute zeigen", "must"),
    ],
)
def test_how_binding_a_requirement_is(text: str, priority: str) -> None:
    assert only(text).priority == priority


@pytest.mark.parametrize(
    "text",
    [
        "The weather is fine.",
        "It may rain tomorrow.",
        "# Must have",
        "Hi all,\n\nThanks!",
        "```\nassert must\n```",
        "",
    ],
)
def test_what_asks_for_nothing_is_no_requirement(text: str) -> None:
    found = parsed(text)
    assert found.requirements == []
    assert "nothing that these rules recognise" in found.summary
    assert found.open_questions


def test_a_list_takes_what_binds_it_from_the_sentence_above() -> None:
    found = parsed("The system must:\n\n- export orders as CSV\n- archive them\n\nIt rains.").requirements
    assert [(r.text, r.priority) for r in found] == [
        ("The system must: export orders as CSV", "must"),
        ("The system must: archive them", "must"),
    ]


@pytest.mark.parametrize(
    ("text", "is_testable"),
    [
        ("Pages must load fast.", False),
        ("Pages must load fast: within 2 seconds.", True),
        ("The system must be highly available.", False),
        ("The system must be available 99.9 % of the time.", True),
        ("The format must be TBD.", False),
        ("Users must be able to cancel an order.", True),
        ("The user interface shall be intuitive.", False),
        ("Die Oberfläche soll einfach sein.", False),
        ("Die Antwort muss in höchstens 200 ms kommen.", True),
    ],
)
def test_what_no_test_can_decide_says_why(text: str, is_testable: bool) -> None:
    assert (only(text).problem is None) == is_testable


def test_the_texts_own_ids_are_kept_and_others_are_numbered_around_them() -> None:
    found = parsed("- R2: Users must pay.\n- Users must log in.\n- Users must wait.\n- R2: Users must go.").requirements
    assert [requirement.id for requirement in found] == ["R2", "R1", "R3", "R4"]


def test_a_risk_that_is_denied_is_none() -> None:
    assert parsed("Users must log the time. No migration is needed.").risks == []


def test_of_many_requirements_the_first_are_kept_and_the_others_counted() -> None:
    found = parsed("\n".join(f"- Users must do thing {number}." for number in range(400)))
    assert len(found.requirements) == 300
    assert "100 more are left out" in found.summary


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "1. a " * 40_000,
        "The system must " * 12_000,
        RFP * 60,
        "as a " * 40_000,
        "| a " * 50_000,
        "> " * 100_000,
    ],
)
def test_any_text_of_200_kb_has_a_bounded_result(text: str) -> None:
    assert len(parsed(text).model_dump_json()) < 400_000


def test_a_text_shows_no_markup_of_its_own() -> None:
    assert "<script>" not in parsed("The page must show <script>alert(1)</script> as text.").text

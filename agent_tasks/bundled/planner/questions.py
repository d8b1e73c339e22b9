"""What a text leaves open: its own questions, and what it does not speak of at all."""

import re
from collections.abc import Sequence

from agent_tasks.bundled.planner.outline import Statement
from agent_tasks.bundled.planner.results import Actor, Constraint, Requirement
from agent_tasks.bundled.planner.vocabulary import MEASURE, OPEN

MOST = 25


def open_questions(
    statements: Sequence[Statement],
    asked: Sequence[Statement],
    requirements: Sequence[Requirement],
    actors: Sequence[Actor],
    constraints: Sequence[Constraint],
) -> list[str]:
    """Return the questions to answer: those of the text first, then what it is silent on."""
    own = [f"{statement.text} (line {statement.line})" for statement in asked]
    own += [
        f"Left open in line {statement.line}: “{statement.text}”"
        for statement in statements
        if OPEN.search(statement.text) and not statement.text.endswith("?")
    ]
    return [*own[: MOST - 8], *_silent(statements, requirements, actors, constraints)][:MOST]


def _silent(
    statements: Sequence[Statement],
    requirements: Sequence[Requirement],
    actors: Sequence[Actor],
    constraints: Sequence[Constraint],
) -> list[str]:
    everything = "\n".join(statement.text for statement in statements)
    categories = {requirement.category for requirement in requirements}
    kinds = {constraint.kind for constraint in constraints}

    def speaks(words: str) -> bool:
        return re.search(words, everything, re.IGNORECASE) is not None

    asked: list[tuple[bool, str]] = [
        (any(actor.kind == "person" for actor in actors), "Who uses it, in which roles, and what may each of them do?"),
        (
            "performance" in categories or MEASURE.search(everything) is not None,
            "How many users, records and requests are there, and how fast must an answer come?",
        ),
        ("availability" in categories, "How long may it be away, how much data may be lost, and who restores it?"),
        ("security" in categories or "access" in categories, "Who may see and change what, and how do they log in?"),
        (
            "compliance" in categories or "legal" in kinds,
            "Is personal data stored, for how long, and which law or standard applies?",
        ),
        (
            any(actor.kind == "system" for actor in actors) or "integration" in categories,
            "Which other systems does it read from or write to?",
        ),
        ("deadline" in kinds, "By when is it needed, and what depends on that date?"),
        (
            "budget" in kinds or "team" in kinds or speaks(r"\b(?:owner|responsible|verantwortlich)"),
            "Who does it, with which budget, and who decides?",
        ),
        (speaks(r"accept|abnahme|done when|criteri|kriteri|must reach|shown by"), "How is it accepted, and by whom?"),
    ]
    return [question for is_answered, question in asked if not is_answered]

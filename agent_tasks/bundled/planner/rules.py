"""The planning that needs no model: rules on the text given."""

from typing import Any

from agent_tasks.bundled.planner.planning import planned
from agent_tasks.bundled.planner.reading import parsed
from agent_tasks.bundled.planner.rendering import rendered
from agent_tasks.bundled.planner.results import (
    Body,
    Operation,
    Plan,
    PlanBody,
    Requirements,
    RequirementsBody,
    Result,
    Validation,
)
from agent_tasks.bundled.planner.validation import validated

NOTE = "No model wrote this: it was made by rules from the words of the text given, which may read them wrongly."


def by_rules(operation: Operation, text: str, note: str = NOTE) -> Result:
    """Do an operation by rules; `note` says how it was made."""
    make = {"generate_plan": planned, "parse_requirements": parsed, "validate_plan": validated}[operation]
    return finished(make(text), None, note)


def finished(body: Body, model: str | None, note: str) -> Result:
    """Make a result of its content."""
    fields: dict[str, Any] = {**body.model_dump(), "model": model, "note": note, "text": rendered(body, note)}
    if isinstance(body, PlanBody):
        return Plan(**fields)
    return Requirements(**fields) if isinstance(body, RequirementsBody) else Validation(**fields)

"""All that the rules find in a text."""

from dataclasses import dataclass

from agent_tasks.bundled.planner.actors import actors
from agent_tasks.bundled.planner.constraints import constraints
from agent_tasks.bundled.planner.outline import Outline, outline
from agent_tasks.bundled.planner.questions import open_questions
from agent_tasks.bundled.planner.request import parts
from agent_tasks.bundled.planner.requirements import MOST, requirements
from agent_tasks.bundled.planner.results import Actor, Constraint, Requirement, RequirementsBody, Risk
from agent_tasks.bundled.planner.risks import risks

MOST_OUT_OF_SCOPE = 40


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, sorted. `left_out`: how many requirements more than are kept."""

    outline: Outline
    requirements: list[Requirement]
    left_out: int
    actors: list[Actor]
    constraints: list[Constraint]
    risks: list[Risk]
    out_of_scope: list[str]
    questions: list[str]


def read(material: str, subject: str | None = None) -> Reading:
    """Read a text."""
    text = outline(material)
    found = requirements(text.statements)
    if not found.requirements and (listed := parts(material, subject)):
        found = requirements([*text.statements, *listed], listed)
    limits = constraints(text.statements, found.procurement)
    who = actors(text.statements)
    spoken = [statement for statement in text.statements if statement.text not in found.out_of_scope]
    return Reading(
        outline=text,
        requirements=found.requirements,
        left_out=found.left_out,
        actors=who,
        constraints=limits,
        risks=risks(spoken, found.requirements, found.questions, limits),
        out_of_scope=found.out_of_scope[:MOST_OUT_OF_SCOPE],
        questions=open_questions(text.statements, found.questions, found.requirements, who, limits),
    )


def parsed(material: str) -> RequirementsBody:
    """Parse the requirements of a text."""
    found = read(material)
    return RequirementsBody(
        title=found.outline.title or "Requirements",
        summary=_summary(found),
        requirements=found.requirements,
        actors=found.actors,
        constraints=found.constraints,
        risks=found.risks,
        out_of_scope=found.out_of_scope,
        open_questions=found.questions,
    )


def _summary(found: Reading) -> str:
    if not found.requirements:
        return (
            "The text asks for nothing that these rules recognise as a requirement. Say what must, should or could be "
            "so (“The system must …”), as sentences or a list; the open questions name what is usually needed."
        )
    functional = sum(requirement.kind == "functional" for requirement in found.requirements)
    untestable = sum(requirement.problem is not None for requirement in found.requirements)
    musts = sum(requirement.priority == "must" for requirement in found.requirements)
    said = (
        f"{counted(len(found.requirements), 'requirement')}: {functional} functional, "
        f"{len(found.requirements) - functional} non-functional; {counted(musts, 'must')}. "
    )
    said += f"No test can decide {untestable} of them as written." if untestable else "A test can decide each of them."
    return said + (f" {found.left_out} more are left out: the first {MOST} are kept." if found.left_out else "")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

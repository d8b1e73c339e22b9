"""The phases of a plan that the text names itself."""

import re
from collections.abc import Sequence

from agent_tasks.bundled.planner.phases import Named, circles
from agent_tasks.bundled.planner.results import Phase, Requirement

MOST_TASKS = 40
"""Tasks that are kept of one phase."""
_DONE = re.compile(
    r"\b(?:done when|acceptance|exit criteri\w+|criteri\w+|deliverables?|abnahme\w*|fertig,? wenn)\b", re.I
)
_ORDER_ONLY = re.compile(
    r"(?:depends? on|after|requires?|needs|blocked by|nach|braucht|benötigt|abhängig von)\s+(?:phases?|steps?|"
    r"schritte?n?|phasen)?"
    r"[\s\d,.and&und]+$",
    re.I,
)
"""A statement that says no more than what its phase comes after."""


def own_phases(own: Sequence[Named], requirements: Sequence[Requirement]) -> list[Phase]:
    """The text's phases, renumbered from 1; one that says nothing of its order follows the one above it."""
    place = {phase.number: at for at, phase in enumerate(own, 1)}
    phases: list[Phase] = []
    for at, phase in enumerate(own, 1):
        lines = {statement.line for statement in phase.statements}
        after = [place[number] for number in phase.depends_on] or ([at - 1] if at > 1 else [])
        tasks = [statement.text for statement in phase.statements if not _ORDER_ONLY.match(statement.text)]
        tasks = [task for task in tasks if not task.startswith(phase.name)]
        phases.append(
            Phase(
                number=at,
                name=phase.name,
                goal=f"“{phase.name}” is done.",
                tasks=tasks[:MOST_TASKS] or [f"Say what is done in “{phase.name}”: the text names it only."],
                requirements=[r.id for r in requirements if r.line in lines],
                depends_on=sorted(set(after)),
                done_when=[s.text for s in phase.statements if _DONE.search(s.text)]
                or [f"Somebody who does not work on it confirms that “{phase.name}” is done."],
            )
        )
    return phases


def disordered(own: Sequence[Named]) -> list[str]:
    """The questions that the order of the text's own phases leaves."""
    names = {phase.number: f"{phase.number} ({phase.name})" for phase in own}
    asked = [
        f"Which of these phases can begin without the others? {' → '.join(names[number] for number in circle)}"
        for circle in circles({phase.number: phase.depends_on for phase in own})
    ]
    return asked + [
        f"Phase {names[phase.number]} comes after phase {number}, which the text does not have: what is meant?"
        for phase in own
        for number in phase.missing
    ]

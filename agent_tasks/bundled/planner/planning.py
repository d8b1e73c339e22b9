"""A plan by rules: the phases that the text names, else stages that its requirements fill."""

import re
from collections.abc import Sequence

from agent_tasks.bundled.planner.outline import Statement
from agent_tasks.bundled.planner.own_phases import MOST_TASKS, disordered, own_phases
from agent_tasks.bundled.planner.phases import called_phases, circles
from agent_tasks.bundled.planner.project import halved, project_stages, shown
from agent_tasks.bundled.planner.reading import Reading, counted, read
from agent_tasks.bundled.planner.request import Asked, asked
from agent_tasks.bundled.planner.results import Phase, PlanBody, Requirement, Risk
from agent_tasks.bundled.planner.risks import stage_of
from agent_tasks.bundled.planner.stages import Key, Stage, fitted, name_of


def planned(text: str) -> PlanBody:
    """Plan what a text asks for."""
    request = asked(text)
    found = read(request.material, request.subject)
    subject = request.subject or found.outline.title or _opening(found.outline.statements) or "what the text asks for"
    own = called_phases(found.outline)
    phases = own_phases(own, found.requirements) if own else _made_phases(found, request, subject)
    return PlanBody(
        title=f"Plan: {subject}",
        summary=_summary(found, request, phases, bool(own)),
        phases=phases,
        requirements=found.requirements,
        actors=found.actors,
        constraints=found.constraints,
        risks=[_placed(risk, phases, bool(own)) for risk in found.risks],
        open_questions=[*disordered(own), *_circular(found.requirements), *found.questions],
    )


def _opening(statements: Sequence[Statement]) -> str | None:
    return statements[0].text[:100].rstrip(".") if statements else None


def _summary(found: Reading, request: Asked, phases: Sequence[Phase], is_own: bool) -> str:
    said = f"{counted(len(phases), 'phase')} for {counted(len(found.requirements), 'requirement')}"
    said += ", as the text names them." if is_own else "."
    if request.phases and len(phases) != request.phases:
        why = "the text names its own" if is_own else "there is no matter for more"
        said += f" {request.phases} were asked for; {why}."
    if not found.requirements and not is_own:
        said += (
            " The text states no requirement, so the phases are those of any project: answer the open questions first."
        )
    if found.left_out:
        said += f" {found.left_out} requirements more are left out."
    return said


def _made_phases(found: Reading, request: Asked, subject: str) -> list[Phase]:
    stages = project_stages(found, subject)
    size = len(found.requirements)
    wanted = request.phases or (3 if size < 6 else 4 if size < 16 else 5 if size < 40 else 6)
    groups = fitted(stages, wanted, halved)
    ordered = [stage for group in groups for stage in group]
    number = {id(stage): at for at, group in enumerate(groups, 1) for stage in group}
    phases: list[Phase] = []
    for at, group in enumerate(groups, 1):
        after = {number[id(other)] for stage in group for other in _needed(stage, ordered)} - {at}
        phases.append(
            Phase(
                number=at,
                name=name_of(group),
                goal=" ".join(dict.fromkeys(stage.goal for stage in group)),
                tasks=[task for stage in group for task in stage.tasks][:MOST_TASKS],
                requirements=[requirement.id for stage in group for requirement in stage.requirements],
                depends_on=sorted(after),
                done_when=[
                    *shown([requirement for stage in group for requirement in stage.requirements]),
                    *dict.fromkeys(line for stage in group for line in stage.done_when),
                ],
            )
        )
    return _reduced(phases)


def _needed(stage: Stage, ordered: Sequence[Stage]) -> list[Stage]:
    """The earlier stages that one needs: the nearest that always comes first, and what its requirements name."""
    at = next(place for place, each in enumerate(ordered) if each is stage)
    before = ordered[:at]
    if stage.key == "build":
        names = {id for requirement in stage.requirements for id in requirement.depends_on}
        named = [each for each in before if any(requirement.id in names for requirement in each.requirements)]
        return [*named, *[each for each in before if each.key in ("discovery", "design", "foundations")][-1:]]
    if stage.key == "verification":
        return [each for each in before if each.key in ("build", "integration")]
    if stage.key == "integration":
        return [each for each in before if each.key in ("build", "foundations")]
    last = before[-1].key if before else stage.key
    return [each for each in before if each.key == last] if last != stage.key else list(before[-1:])


def _reduced(phases: list[Phase]) -> list[Phase]:
    """Take out the dependencies that follow from others."""
    all_before: dict[int, set[int]] = {}
    kept: list[Phase] = []
    for phase in phases:
        before: set[int] = set()
        for number in phase.depends_on:
            before |= all_before[number]
        kept.append(phase.model_copy(update={"depends_on": [n for n in phase.depends_on if n not in before]}))
        all_before[phase.number] = before | set(phase.depends_on)
    return kept


def _circular(requirements: Sequence[Requirement]) -> list[str]:
    place = {requirement.id: at for at, requirement in enumerate(requirements)}
    edges = {at: [place[id] for id in r.depends_on if id in place] for at, r in enumerate(requirements)}
    return [
        f"Which of these can begin without the others? {' → '.join(requirements[at].id for at in circle)}"
        for circle in circles(edges)
    ]


def _placed(risk: Risk, phases: Sequence[Phase], is_own: bool) -> Risk:
    """Note the phase that answers a risk: the first that has its stage; in a text's own phases, the first of all."""
    key: Key = stage_of(risk)
    said = {"handover": "hand-over"}.get(key, key)
    found = next((phase for phase in phases if re.search(rf"\b{said}\b", phase.name, re.I)), phases[0])
    return risk.model_copy(update={"phase": phases[0].number if is_own else found.number})

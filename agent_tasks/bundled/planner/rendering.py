"""Results as Markdown, for people."""

import re
from collections.abc import Iterable, Iterator, Sequence

from agent_tasks.bundled.planner.results import (
    Actor,
    Body,
    Constraint,
    Finding,
    Phase,
    PlanBody,
    Requirement,
    RequirementsBody,
    Risk,
)

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_VERDICT = {"ready": "ready", "gaps": "usable, with gaps", "not_ready": "not ready"}


def rendered(body: Body, note: str) -> str:
    """Render a result; `note` says how it was made."""
    if isinstance(body, PlanBody):
        parts = [*_plan(body)]
    elif isinstance(body, RequirementsBody):
        parts = [*_requirements(body)]
    else:
        parts = [f"Verdict: **{_VERDICT[body.verdict]}**.", *_findings(body.findings)]
        parts += _listed("Phases", map(_phase, body.phases))
    whole = "\n\n".join([f"# {body.title}", body.summary, *parts, f"*{note}*"])
    return f"{_TAG.sub('&lt;', whole)}\n"


def _plan(plan: PlanBody) -> Iterator[str]:
    yield from _phases(plan.phases)
    yield from _risks(plan.risks)
    yield from _listed("Constraints", map(_constraint, plan.constraints))
    yield from _listed("Open questions", plan.open_questions)


def _requirements(found: RequirementsBody) -> Iterator[str]:
    for title, kind in (("Functional requirements", "functional"), ("Non-functional requirements", "non_functional")):
        yield from _listed(title, [_requirement(r) for r in found.requirements if r.kind == kind])
    yield from _listed("Actors", map(_actor, found.actors))
    yield from _listed("Constraints", map(_constraint, found.constraints))
    yield from _listed("Out of scope", found.out_of_scope)
    yield from _risks(found.risks)
    yield from _listed("Open questions", found.open_questions)


def _phases(phases: Sequence[Phase]) -> Iterator[str]:
    for phase in phases:
        yield f"## Phase {phase.number}: {phase.name}"
        after = f"After phase {' and '.join(map(str, phase.depends_on))}." if phase.depends_on else "Can begin at once."
        yield f"{phase.goal} {after}".strip()
        if phase.tasks:
            yield "\n".join(f"- {task}" for task in phase.tasks)
        if phase.done_when:
            yield "Done when:\n\n" + "\n".join(f"- {line}" for line in phase.done_when)


def _phase(phase: Phase) -> str:
    after = f", after {' and '.join(map(str, phase.depends_on))}" if phase.depends_on else ""
    tasks = f": {len(phase.tasks)} task{'' if len(phase.tasks) == 1 else 's'}" if phase.tasks else ""
    return f"{phase.number}. {phase.name}{after}{tasks}"


def _risks(risks: Sequence[Risk]) -> Iterator[str]:
    yield from _listed("Risks", map(_risk, risks))


def _risk(risk: Risk) -> str:
    where = f" (line {risk.line})" if risk.line else ""
    due = f" Due in phase {risk.phase}." if risk.phase else ""
    return f"**{risk.name}.** {risk.evidence}{where}. {risk.consequence} → {risk.response}{due}"


def _requirement(requirement: Requirement) -> str:
    after = f"; after {', '.join(requirement.depends_on)}" if requirement.depends_on else ""
    where = f"; line {requirement.line}" if requirement.line else ""
    problem = f"\n  - Not testable: {requirement.problem}" if requirement.problem else ""
    about = f"{requirement.priority}; {requirement.category}{after}{where}"
    return f"**{requirement.id}** {requirement.text} ({about}){problem}"


def _actor(actor: Actor) -> str:
    return f"{actor.name} ({actor.kind}, named {'once' if actor.mentions == 1 else f'{actor.mentions} times'})"


def _constraint(constraint: Constraint) -> str:
    return f"{constraint.kind.capitalize()}: {constraint.text}" + (
        f" (line {constraint.line})" if constraint.line else ""
    )


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for severity, title in (("error", "Errors"), ("warning", "Warnings")):
        yield from _listed(title, [_finding(found) for found in findings if found.severity == severity])


def _finding(finding: Finding) -> str:
    where = f" (line {finding.line})" if finding.line else ""
    return f"{finding.kind.capitalize()}{where}: {finding.message} {finding.suggestion}"


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    if kept := list(lines):
        yield f"## {title}"
        yield "\n".join(f"- {line}" for line in kept)

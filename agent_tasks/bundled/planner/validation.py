"""Validating a plan by rules: what is missing, circular, out of order, or cannot be tested."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from agent_tasks.bundled.planner.expected_parts import DONE, PARTS
from agent_tasks.bundled.planner.measures import untestable
from agent_tasks.bundled.planner.outline import Outline, Statement, outline
from agent_tasks.bundled.planner.phases import Named, circles, named_phases
from agent_tasks.bundled.planner.results import Finding, Phase, Severity, ValidationBody
from agent_tasks.bundled.planner.vocabulary import OPEN

MOST = 100
_SHOWN = 12


def validated(text: str) -> ValidationBody:
    """Validate the plan that a text is."""
    plan = outline(text)
    phases = named_phases(plan)
    findings = [*_structure(plan, phases), *_order(phases), *_gaps(plan, phases), *_statements(plan.statements)]
    errors = sum(finding.severity == "error" for finding in findings)
    verdict: Literal["ready", "gaps", "not_ready"] = "not_ready" if errors else "gaps" if findings else "ready"
    return ValidationBody(
        title=plan.title or "Plan",
        summary=_summary(phases, findings, errors),
        verdict=verdict,
        phases=[_phase(phase) for phase in phases],
        findings=findings[:MOST],
    )


def _summary(phases: Sequence[Named], findings: Sequence[Finding], errors: int) -> str:
    warnings = len(findings) - errors
    said = {
        True: "Ready: nothing that these rules look for is missing.",
        False: f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}.",
    }[not findings]
    return f"{len(phases)} phases. {said}" + (f" The first {MOST} are listed." if len(findings) > MOST else "")


def _structure(plan: Outline, phases: Sequence[Named]) -> Iterator[Finding]:
    if not plan.statements:
        yield _finding("missing", "error", "There is no text to validate.", None, "Give the plan as text.")
    elif not phases:
        yield _finding(
            "missing",
            "error",
            "It has no phases or steps that can be told apart.",
            None,
            "Number them (“Phase 1: …”), one below the other.",
        )
    numbers = [phase.number for phase in phases]
    if phases and (gaps := sorted(set(range(1, max(numbers))) - set(numbers))):
        missing = ", ".join(map(str, gaps))
        yield _finding(
            "missing", "error", f"Between the phases number {missing} is missing.", None, "Add it, or renumber."
        )
    for phase in phases:
        if all(_bare(statement.text) == _bare(phase.name) for statement in phase.statements):
            yield _finding(
                "empty",
                "warning",
                f"Phase {phase.number} ({phase.name}) is a name only: it does not say what is done.",
                phase.line,
                "List its tasks.",
            )


def _order(phases: Sequence[Named]) -> Iterator[Finding]:
    names = {phase.number: f"{phase.number} ({phase.name})" for phase in phases}
    circular = circles({phase.number: phase.depends_on for phase in phases})
    for circle in circular:
        line = next(phase.line for phase in phases if phase.number == circle[0])
        way = " → ".join(names[number] for number in circle)
        message = (
            f"Phase {way} waits for itself." if len(circle) == 2 else f"Phases wait for each other in a circle: {way}."
        )
        yield _finding(
            "circular", "error", message, line, "Decide which of them can begin without the others, or split it."
        )
    for phase in phases:
        for number in phase.missing:
            yield _finding(
                "unknown",
                "error",
                f"Phase {names[phase.number]} comes after phase {number}, which is not in the plan.",
                phase.line,
                f"Add phase {number}, or correct the number.",
            )
        for number in phase.depends_on:
            if number > phase.number and not any({number, phase.number} <= set(circle) for circle in circular):
                yield _finding(
                    "order",
                    "warning",
                    f"Phase {names[phase.number]} comes after phase {names[number]}, which is below it.",
                    phase.line,
                    "Put them in the order in which they are done.",
                )
    yield from _dates(phases)


def _dates(phases: Sequence[Named]) -> Iterator[Finding]:
    """Phases whose last ISO date lies before that of one that they come after."""
    ends: dict[int, str] = {}
    for phase in phases:
        said = " ".join(statement.text for statement in phase.statements)
        if dates := re.findall(r"\b\d{4}-\d{2}-\d{2}\b", said):
            ends[phase.number] = max(dates)
    for above, phase in zip([None, *phases], phases, strict=False):
        for number in phase.depends_on or ([above.number] if above else []):
            if ends.get(number, "") > ends.get(phase.number, "9"):
                yield _finding(
                    "order",
                    "error",
                    f"Phase {phase.number} ends on {ends[phase.number]}, before phase {number} on {ends[number]}, "
                    f"which it comes after.",
                    phase.line,
                    "Correct the dates, or the order.",
                )


def _gaps(plan: Outline, phases: Sequence[Named]) -> Iterator[Finding]:
    if not plan.statements:
        return
    everything = "\n".join([*(heading.text for heading in plan.headings), *(s.whole for s in plan.statements)])
    for part in PARTS:
        if not any(words.search(everything) for words in part.words):
            yield _finding("missing", part.severity, part.message, None, part.suggestion)
    if any(_accepts(phase) for phase in phases):  # where none does, that has been said of the whole
        for phase in phases:
            if not _accepts(phase):
                yield _finding(
                    "missing",
                    "warning",
                    f"Phase {phase.number} ({phase.name}) does not say when it is done.",
                    phase.line,
                    "Add by what that is known.",
                )


def _accepts(phase: Named) -> bool:
    return any(DONE.search(statement.whole) for statement in phase.statements)


def _statements(statements: Sequence[Statement]) -> Iterator[Finding]:
    for statement in statements:
        if OPEN.search(statement.text):
            yield _finding(
                "open",
                "error",
                f"Left open: “{_short(statement.text)}”",
                statement.line,
                "Decide it, or name who does by when.",
            )
        elif problem := untestable(statement.text):
            yield _finding(
                "untestable",
                "warning",
                f"“{_short(statement.text)}”: {problem}",
                statement.line,
                "Replace it by a number or an observation.",
            )


def _phase(phase: Named) -> Phase:
    tasks = [statement.text for statement in phase.statements if _bare(statement.text) != _bare(phase.name)]
    return Phase(
        number=phase.number,
        name=phase.name,
        goal="",
        tasks=tasks[:_SHOWN],
        depends_on=sorted(phase.depends_on),
        done_when=[s.text for s in phase.statements if DONE.search(s.text)][:_SHOWN],
    )


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119].rstrip()}…"


def _finding(kind: str, severity: Severity, message: str, line: int | None, suggestion: str) -> Finding:
    return Finding.model_validate(
        {"kind": kind, "severity": severity, "message": message, "line": line, "suggestion": suggestion}
    )

"""The phases that a text names itself, and which of them come before which."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent_tasks.bundled.planner.outline import Heading, Outline, Statement

_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eins": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5,
}  # fmt: skip
_UNIT = (
    r"(?:phases?|steps?|stages?|milestones?|sprints?|iterations?|schritte?n?|phasen|etappen?|meilensteine?n?|stufen?)"
)
_NAMED = re.compile(rf"{_UNIT}\s*#?(\d{{1,2}}|{'|'.join(_WORDS)})\b\s*[:.)–—-]*\s*(.*)$", re.I)
_RELATION = re.compile(
    r"\b(?P<after>depends? on|depending on|dependent on|dependenc(?:y|ies)|after|requires?|needs|blocked by|once|"
    r"prerequisites?|builds on|"
    r"follows|waits? for|starts? when|hängt ab von|abhängig von|abhängigkeit(?:en)?|nach|setzt|benötigt|braucht|"
    r"voraussetzung(?:en)?)\b"
    r"|\b(?P<before>before|blocks|precedes|prerequisite (?:for|of)|vor|blockiert)\b",
    re.I,
)
_NUMBERS = re.compile(
    rf"(?:{_UNIT}\s*)?#?\b(\d{{1,2}}(?:\s*(?:,|and|und|&|\+|or|oder)+\s*(?:{_UNIT}\s*)?\d{{1,2}})*)\b"
    r"(?!\s*(?:%|ms|seconds?|minutes?|hours?|days?|weeks?|months?|years?|tage?n?|wochen?|monate?n?|[.:]\d))",
    re.I,
)
_NO_PHASE = re.compile(
    r"\b(?:risks?|goals?|objectives?|overview|summary|introduction|background|timeline|budget|team|roles|stakeholders?|"
    r"scope|assumptions?|"
    r"dependenc\w+|appendix|glossary|risiken|ziele?|überblick|zeitplan|einleitung|annahmen|rollback|acceptance|"
    r"monitoring|communication|references)\b",
    re.I,
)


@dataclass(slots=True)
class Named:
    """A phase as the text has it. `missing` are numbers of phases that it comes after and that are not there."""

    number: int
    name: str
    line: int
    statements: list[Statement] = field(default_factory=list[Statement])
    depends_on: list[int] = field(default_factory=list[int])
    missing: list[int] = field(default_factory=list[int])
    says_order: bool = False
    """Whether the text says itself what it comes after."""


def named_phases(text: Outline) -> list[Named]:
    """Return the phases that are called so; else the items of a numbered list; else the sections."""
    for find in (_called_so, _numbered, _sections):
        phases = find(text)
        if len(phases) > 1:
            _order(phases, text.statements)
            return phases
    return []


def called_phases(text: Outline) -> list[Named]:
    """Return only those that the text calls phases, steps, milestones, …"""
    phases = _called_so(text)
    if len(phases) < 2:
        return []
    _order(phases, text.statements)
    return phases


def circles(depends_on: dict[int, list[int]]) -> list[list[int]]:
    """Return each circle of dependencies once, from its smallest member on, which is repeated at the end."""
    found: dict[frozenset[int], list[int]] = {}

    def walk(at: int, path: list[int], done: set[int]) -> None:
        if at in path:
            circle = path[path.index(at) :]
            first = circle.index(min(circle))
            found.setdefault(frozenset(circle), [*circle[first:], *circle[:first], min(circle)])
        elif at not in done:
            for other in depends_on.get(at, []):
                walk(other, [*path, at], done)
            done.add(at)

    done: set[int] = set()
    for start in depends_on:
        walk(start, [], done)
    return list(found.values())


def _called_so(text: Outline) -> list[Named]:
    """Phases by their word, in headings or at the beginning of statements; a later mention is no second phase."""
    phases: dict[int, Named] = {}
    current: Named | None = None
    level = 0
    for part in _in_order(text):
        said = _NAMED.match(part.text)
        number = _number(said[1]) if said else None
        if said is not None and number is not None and number not in phases and not _opens_with_relation(said[2]):
            current = phases[number] = Named(number, _name(said[2]) or said[0].strip(), part.line)
            level = part.level if isinstance(part, Heading) else 9
            rest = said[2].strip()
            if isinstance(part, Statement) and rest:
                current.statements.append(Statement(rest, part.line, part.headings, part.item))
            elif rest:
                current.statements.append(Statement(rest, part.line))
        elif isinstance(part, Heading):
            if part.level <= level:
                current = None
        elif current is not None:
            current.statements.append(part)
    return [phases[number] for number in sorted(phases)]


def _numbered(text: Outline) -> list[Named]:
    """The longest list that is numbered 1, 2, 3, … with what stands below each item."""
    best: list[Named] = []
    run: list[Named] = []
    for part in _in_order(text):
        if isinstance(part, Heading):
            run = []
        elif part.number == 1:
            run = [Named(1, _name(part.text), part.line, [part])]
        elif run and part.number == len(run) + 1:
            run.append(Named(len(run) + 1, _name(part.text), part.line, [part]))
        elif run:
            run[-1].statements.append(part)
        if len(run) > len(best):
            best = run
    return best


def _sections(text: Outline) -> list[Named]:
    """The sections of the deepest level that has several with something in them, but for those that frame a plan."""
    with_text = {statement.headings[-1] for statement in text.statements if statement.headings}
    usable = [h for h in text.headings if h.text in with_text and not _NO_PHASE.search(h.text)]
    levels = [heading.level for heading in usable]
    level = next((each for each in sorted(set(levels)) if levels.count(each) > 1), None)
    chosen = [heading for heading in usable if heading.level == level]
    return [
        Named(
            number,
            heading.text,
            heading.line,
            [s for s in text.statements if s.headings and s.headings[-1] == heading.text],
        )
        for number, heading in enumerate(chosen, 1)
    ]


def _order(phases: Sequence[Named], statements: Sequence[Statement]) -> None:
    """Note which phases come after which, as the text says; a phase that says nothing has no entry."""
    by_number = {phase.number: phase for phase in phases}
    for phase in phases:
        for statement in phase.statements:
            about = _NAMED.match(statement.text)
            subject = by_number.get(_number(about[1]) or 0, phase) if about else phase
            _note(subject, statement.text[about.start(2) :] if about else statement.text, by_number)
    inside = {id(statement) for phase in phases for statement in phase.statements}
    for statement in statements:
        about = _NAMED.match(statement.text)
        if about and id(statement) not in inside and (subject := by_number.get(_number(about[1]) or 0)):
            _note(subject, about[2], by_number)


def _note(phase: Named, said: str, by_number: dict[int, Named]) -> None:
    relations = list(_RELATION.finditer(said))
    for at, relation in enumerate(relations):
        end = relations[at + 1].start() if at + 1 < len(relations) else len(said)
        clause = re.split(r"[.;)](?:\s|$)", said[relation.end() : end], maxsplit=1)[0][:120]
        for number in _targets(clause, phase, by_number):
            if relation["before"]:
                if number in by_number and number != phase.number:
                    _add(by_number[number], phase.number, by_number)
            else:
                _add(phase, number, by_number)


def _add(phase: Named, number: int, by_number: dict[int, Named]) -> None:
    phase.says_order = True
    known = phase.depends_on if number in by_number else phase.missing
    if number not in known:
        known.append(number)


def _targets(clause: str, phase: Named, by_number: dict[int, Named]) -> Iterator[int]:
    """The phases that a clause names by number or by name."""
    clause = re.sub(
        rf"^\W*(?:{_UNIT}\W*)?(?:the )?(?:completion|end|approval|abschluss) (?:of|von|der) ", " ", clause, flags=re.I
    )
    begins = re.match(rf"\W*(?:the |der |die )?(?=(?:{_UNIT}\s*)?#?\d)", clause, re.I)
    for found in _NUMBERS.finditer(clause):
        has_word = re.match(_UNIT, found[0], re.I) is not None
        if has_word or (begins is not None and begins.end() == found.start()):
            yield from (int(number) for number in re.findall(r"\d+", found[1]))
    for other in by_number.values():
        name = re.sub(r"\W+$", "", other.name)
        if other is not phase and len(name) > 3 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", clause, re.I):
            yield other.number


def _in_order(text: Outline) -> list[Heading | Statement]:
    parts: list[Heading | Statement] = [*text.headings, *text.statements]
    return sorted(parts, key=lambda part: part.line)


def _number(word: str) -> int | None:
    return int(word) if word.isdigit() else _WORDS.get(word.lower())


def _name(said: str) -> str:
    """A phase's name: what stands before the first mark that goes on to something else."""
    name = re.split(
        r"\s[–—-]\s|[:.;(]|,\s|\s(?:needs|after|depends|requires|follows|nach)\s", said.strip(), maxsplit=1
    )[0].strip()
    return name if len(name) <= 80 else f"{name[:79]}…"


def _opens_with_relation(rest: str) -> bool:
    """Whether “Phase 2 …” goes on as a sentence about it, and so declares none."""
    return (
        re.match(
            r"(?:depends?|requires?|needs|must|is|are|can(?:not)?|will|starts?|begins?|should|has|and|or|hängt|muss|"
            r"ist|braucht|benötigt|setzt|kann|beginnt)\b",
            rest,
            re.I,
        )
        is not None
    )

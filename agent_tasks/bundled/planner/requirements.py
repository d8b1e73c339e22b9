"""The requirements of a text, by rules: what it says must, should or could be so."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from agent_tasks.bundled.planner.actors import named
from agent_tasks.bundled.planner.categories import categorised
from agent_tasks.bundled.planner.constraints import kinds_of
from agent_tasks.bundled.planner.measures import untestable
from agent_tasks.bundled.planner.outline import LONGEST, Statement
from agent_tasks.bundled.planner.results import Requirement
from agent_tasks.bundled.planner.vocabulary import (
    ABLE,
    ASKS,
    BACKGROUND_SECTION,
    COULD,
    CRITERION,
    LIMIT_SECTION,
    MUST,
    OUT_OF_SCOPE,
    PROCUREMENT,
    PROJECT,
    REQUIREMENT_SECTION,
    SHOULD,
    WISHED,
)

MOST = 300
"""Requirements that are kept of one text."""
Priority = Literal["must", "should", "could", "unstated"]

_RELATION = re.compile(
    r"\b(?:depends? on|requires?|needs|after|builds? on|based on|once|blocked by|prerequisite|hängt (?:\w+ )?ab von|"
    r"abhängig von|"
    r"setzt .{0,20}voraus|nach|benötigt|erfordert|basiert auf)\b",
    re.I,
)
_OF_THE_SYSTEM = re.compile(
    r"(?:the|das|die)\s+(?:\w+\s)?(?:system|app\w*|solution|tool|software|platform|website|portal|anwendung|lösung)\b"
    r"(?=.*\b(?:may|might|could|könnte)\b)",
    re.I,
)
_REFERS_BACK = re.compile(
    r"(?:this|it|that|dies\w*|das|es)\s+(?:also\s+)?(?=depends|requires|needs|builds|hängt|setzt|benötigt)", re.I
)
_NUMBERED_ID = re.compile(r"(?:[A-Z]{1,6}[-_ ]?)+\d+(?:\.\d+)*$")


@dataclass(frozen=True, slots=True)
class Sorted:
    """The statements of a text by what they are."""

    requirements: list[Requirement]
    left_out: int
    questions: list[Statement]
    out_of_scope: list[str]
    procurement: list[Statement]


def requirements(statements: Sequence[Statement], listed: Sequence[Statement] = ()) -> Sorted:
    """Sort statements; of those that say the same the first counts. `listed` are requirements whatever they say."""
    found: list[tuple[Statement, Priority]] = []
    questions: list[Statement] = []
    out_of_scope: list[str] = []
    procurement: list[Statement] = []
    seen: set[str] = set()
    wanted = _beside_requirements(statements)
    for statement in statements:
        mark = " ".join(re.findall(r"\w+", statement.whole.casefold()))
        if mark in seen:
            continue
        seen.add(mark)
        if OUT_OF_SCOPE.search(statement.section or "") or OUT_OF_SCOPE.search(statement.whole):
            if not statement.text.endswith(":"):
                out_of_scope.append(statement.text)
        elif statement.text.endswith("?"):
            questions.append(statement)
        elif (priority := _priority(statement) or ("unstated" if statement in (*listed, *wanted) else None)) is None:
            continue
        elif PROCUREMENT.search(statement.text):
            procurement.append(statement)
        elif _limits(statement):
            continue
        elif found and _REFERS_BACK.match(statement.text) and found[-1][0].line == statement.line:
            before = found[-1][0]
            found[-1] = replace(before, text=f"{before.text} {statement.text}"[:LONGEST]), found[-1][1]
        else:
            found.append((statement, priority))
    kept = _made(found[:MOST], listed)
    return Sorted(kept, max(0, len(found) - MOST), questions, out_of_scope, procurement)


def _beside_requirements(statements: Sequence[Statement]) -> list[Statement]:
    """Return the items of lists in which another item asks for something in so many words."""
    found: list[Statement] = []
    for is_item, run in groupby(statements, key=lambda statement: statement.item):
        items = list(run)
        if is_item and any(_word(item.text) for item in items):
            found += items
    return found


def _limits(statement: Statement) -> bool:
    """Whether a statement limits the project and asks nothing of what it builds."""
    kinds = kinds_of(statement.text)
    if kinds and LIMIT_SECTION.search(statement.section or ""):
        return True
    return bool({"deadline", "budget"} & set(kinds)) and PROJECT.search(statement.text) is not None


def _priority(statement: Statement) -> Priority | None:
    """How binding a statement is; None if it asks for nothing."""
    text, section = statement.text, statement.section or ""
    if text.endswith(":") or len(re.findall(r"\w+", text)) < 2:
        return None
    said = _word(text) or (_word(statement.lead) if statement.lead else None)
    is_asked_for = bool(
        statement.id
        or ASKS.match(text)
        or (statement.item and any(REQUIREMENT_SECTION.search(heading) for heading in statement.headings))
        or (REQUIREMENT_SECTION.search(section) and len(re.findall(r"\w+", text)) > 3)
        or (
            ABLE.search(text)
            and any(kind == "person" for _, kind in named(text))
            and not BACKGROUND_SECTION.search(section)
        )
        or CRITERION.match(text)
        or _OF_THE_SYSTEM.match(text)
    )
    if said is None:
        return _of_heading(section) if is_asked_for else None
    is_possibility = said == "could" and not WISHED.search(text)  # “may” says as often what happens as what is wanted
    if not is_asked_for and (is_possibility or BACKGROUND_SECTION.search(section)):
        return None
    return said


def _word(text: str) -> Priority | None:
    """The strongest of the words that bind, but for those that only weaken: “should, if possible” is a could."""
    if COULD.search(text) and not MUST.search(text):
        return "could"
    return "must" if MUST.search(text) else "should" if SHOULD.search(text) else None


def _of_heading(section: str) -> Priority:
    return _word(section) or "unstated"


def _made(found: Sequence[tuple[Statement, Priority]], listed: Sequence[Statement]) -> list[Requirement]:
    ids = _ids([statement for statement, _ in found])
    made: list[Requirement] = []
    for (statement, priority), id in zip(found, ids, strict=True):
        kind, category = categorised(statement.text, "features" if statement in listed else statement.section)
        made.append(
            Requirement(
                id=id,
                text=_sentence(statement),
                kind=kind,
                category=category,
                priority=priority,
                section=statement.section,
                line=statement.line,
                actors=[name for name, _ in named(statement.whole)],
                depends_on=_names(statement.text, id, ids),
                problem=untestable(statement.text, category),
            )
        )
    return made


def _sentence(statement: Statement) -> str:
    """What is asked for, with the beginning of its list where it makes no sense without."""
    lead = (statement.lead or "").rstrip(" :")
    return f"{lead}: {statement.text}" if lead and _word(lead) and len(lead) <= 80 else statement.text


def _ids(statements: Iterable[Statement]) -> list[str]:
    """The text's own ids where it has them and they are each one's own, else R1, R2, …"""
    ids: list[str] = []
    number = 0
    own = {statement.id for statement in statements if statement.id}
    for statement in statements:
        if statement.id and statement.id not in ids:
            ids.append(statement.id)
            continue
        number += 1
        while f"R{number}" in own:
            number += 1
        ids.append(f"R{number}")
    return ids


def _names(text: str, own: str, ids: Sequence[str]) -> list[str]:
    """The other requirements that a text says it rests on."""
    if not _RELATION.search(text):
        return []
    return [
        id
        for id in ids
        if id != own and _NUMBERED_ID.match(id) and re.search(rf"(?<![\w-]){re.escape(id)}(?![\w.]*\d)", text)
    ]

"""What is asked for before the material begins: how many phases, of what."""

import re
from dataclasses import dataclass

from agent_tasks.bundled.planner.outline import Statement

MOST_PHASES = 20
NUMBER_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9, "zehn": 10,
}  # fmt: skip
_SUBJECT = 100
_COUNT = re.compile(
    rf"\b(\d{{1,3}}|{'|'.join(NUMBER_WORDS)})[- ]?(?:clear |distinct |main )?(?:phase[ns]?|steps?|stages?|schritte?n?|"
    rf"phasig\w*|stufig\w*)\b",
    re.I,
)
_ORDER = re.compile(
    r"\s*(?:please |bitte |can you |could you |i need |we need |give me )*(?:generate|create|make|write|draft|build|"
    r"prepare|develop|produce|"
    r"design|outline|erstelle?n?|schreibe?|entwirf|plane?|an? )?\b[^.\n:]{0,120}?\b(?:plan|roadmap|"
    r"\w*plan)\b(?P<how>[^.\n:]{0,60}?)"
    r"(?:\s(?:for|to|of|on|that|für|zu[mr]?|über)\s+|\s*:\s*|\n)(?P<rest>.+)",
    re.I | re.S,
)
_PARTS = re.compile(
    r"\b(?:with|including|incl\.|featuring|that (?:has|have|includes?|supports?|can)|which (?:has|supports?)|mit|"
    r"inklusive)\s+(.+)",
    re.I | re.S,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a plan: `phases` is how many are wanted; `material` the text to plan from."""

    phases: int | None
    subject: str | None
    material: str


def asked(text: str) -> Asked:
    """Read the order at the beginning of a text; a text without one is material alone."""
    head = text.lstrip()[:300]
    first = head.split("\n", 1)[0]
    order = _ORDER.match(text)
    ordered = text[: order.start("rest")] if order else ""
    phases = _phases(ordered or first)
    if order is None:
        return Asked(phases, None, text)
    material = order["rest"].strip()
    phases = phases or _phases(material.split("\n", 1)[0][:200])
    subject = re.split(r"[.:;\n]|,? (?:with|including|mit)\b", material, maxsplit=1)[0].strip(" -–,#*`\"'")
    return Asked(phases, subject[:_SUBJECT] or None, material)


def parts(material: str, subject: str | None) -> list[Statement]:
    """Return what a short request lists (“with A, B and C”) as statements; for a text that asks for nothing else."""
    found = _PARTS.search(material[:600])
    if found is None:
        return []
    listed = re.split(r"[.\n]", found[1], maxsplit=1)[0]
    names = [re.sub(r"^(?:and|und|or)\s+", "", part.strip()) for part in re.split(r",|;|\s(?:and|und)\s", listed)]
    return [Statement(name, 1) for name in names if len(name) > 2 and not _COUNT.match(name)]


def _phases(text: str) -> int | None:
    found = _COUNT.search(text)
    if found is None:
        return None
    count = NUMBER_WORDS.get(found[1].lower()) or int(found[1]) if not found[1].isdigit() else int(found[1])
    return count if 0 < count <= MOST_PHASES else MOST_PHASES if count else None

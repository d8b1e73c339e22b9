"""What in a request makes it one that is not waited for; that it asks for the background is for its sentence to say."""

from agent_tasks.bundled.planner.request import MOST_PHASES, NUMBER_WORDS

_LONG = 10
"""Phases from which a plan counts as complex."""
_COUNTS = [
    *map(str, range(_LONG, MOST_PHASES + 1)),
    *(word for word, number in NUMBER_WORDS.items() if number >= _LONG),
]

HINTS = (
    "comprehensive", "detailed", "in detail", "in-depth", "in depth", "thorough", "exhaustive", "enterprise",
    "enterprise-grade", "full-scale", "risk analysis", "risk assessment", "umfassend", "umfassende", "umfassenden",
    "umfassender", "detailliert", "detaillierte", "detaillierten", "detaillierter", "ausführlich", "ausführliche",
    "ausführlichen", "ausführlicher", "Risikoanalyse", "unternehmensweit",
    *(
        f"{count}{rest}"
        for count in _COUNTS
        for rest in ("-phase", " phase", " phases", "-step", " steps", " stages", " milestones", " Phasen", " Schritte")
    ),
)  # fmt: skip

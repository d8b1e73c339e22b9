"""What limits a project whatever it builds: dates, money, given technology, law, people, and how to offer."""

from collections.abc import Iterable, Sequence

from agent_tasks.bundled.planner.outline import Statement
from agent_tasks.bundled.planner.results import Constraint
from agent_tasks.bundled.planner.vocabulary import DATE, DUE, MONEY, pattern

MOST = 60
_BUDGET = pattern(
    r"""
    budget\w*, we have, we got, wir haben, costs?,
    price, funding, euro, kosten\w*, etat, preis\w*, funds, spend\w*, paid, capped
    """
)
_DUE = pattern(
    r"""
    by, until, before, deadline, due, launch\w*, go[- ]?live, live, no later, finish\w*, deliver\w*, complete\w*,
    start\w*, begin\w*, release\w*, ends?, bis, frist, spätestens, stichtag, termin\w*, abgabe, fertig, start,
    beginn\w*, einführung, abgeschlossen
    """
)  # fmt: skip
_TECHNOLOGY = pattern(
    r"""
    postgres\w*, mysql, oracle, mongodb, redis, kafka, kubernetes, docker, aws, azure, gcp, google cloud,
    on[- ]prem\w*, python, java, typescript, react, angular, vue, django, \.net, php, celery, rabbitmq, s3, linux,
    windows server, open[- ]source, existing (?:system|stack|infrastructure|database)\w*, saas, self[- ]hosted,
    selbst gehostet, eigene[nrs]? (?:server|rechenzentrum)\w*,
    bestehende[nrsm]? (?:system|datenbank|infrastruktur)\w*
    """
)  # fmt: skip
_LAW = pattern(
    r"""
    gdpr, dsgvo, hipaa, pci(?:[- ]dss)?, iso ?\d{4,5}, soc ?2, licen[cs]es?, law, legal\w*, regulat\w+,
    datenschutz\w*, betriebsrat\w*, gesetz\w*, works council, bgg, bitv\S*, accessibility act, nis-?2, dora
    """
)  # fmt: skip
_TEAM = pattern(
    r"""
    team of \w+, \d+ (?:\w+ )?(?:developers?|engineers?|people|persons?|fte|entwickler\w*|personen|leute),
    (?:one|two|three|four|five|six) (?:\w+ )?(?:developers?|engineers?|people),
    (?:zwei|drei|vier|fünf|sechs|einen?) (?:\w+ )?(?:entwickler\w*|personen|leute|kolleg\w+), staffing,
    part[- ]time, teilzeit, on leave
    """
)  # fmt: skip
_BINDS = pattern(
    r"""
    must, shall, has to, have to, need\w*, only, required, should, use, uses, using, run\w*, host\w*, within, on,
    comply, complies, under, muss, müssen, soll\w*, nur, auf, mit, gemäß, läuft, bestehend\w*
    """
)  # fmt: skip


def constraints(statements: Iterable[Statement], procurement: Sequence[Statement]) -> list[Constraint]:
    """Return the limits that statements name; one statement may name several kinds."""
    found: list[Constraint] = [_made("procurement", statement) for statement in procurement]
    for statement in statements:
        text = statement.whole
        if statement not in procurement and not text.endswith((":", "?")):
            found += [_made(kind, statement) for kind in kinds_of(text)]
    return found[:MOST]


def kinds_of(text: str) -> list[str]:
    """Return the kinds of limits that a text names."""
    kinds: list[str] = []
    if DUE.search(text) or (DATE.search(text) and _DUE.search(text)):
        kinds.append("deadline")
    if MONEY.search(text) and _BUDGET.search(text):
        kinds.append("budget")
    if _TECHNOLOGY.search(text) and _BINDS.search(text):
        kinds.append("technology")
    if _LAW.search(text):
        kinds.append("legal")
    if _TEAM.search(text):
        kinds.append("team")
    return kinds


def _made(kind: str, statement: Statement) -> Constraint:
    return Constraint.model_validate({"kind": kind, "text": statement.text, "line": statement.line})

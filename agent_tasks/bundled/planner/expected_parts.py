"""What a plan is expected to say, whatever it plans, and by which words it is found."""

import re
from dataclasses import dataclass

from agent_tasks.bundled.planner.results import Severity
from agent_tasks.bundled.planner.vocabulary import DATE, pattern

DONE = pattern(
    r"""
    done when, acceptance, accepted (?:when|by|if), definition of done, exit criteri\w+, criteri\w+, deliverables?,
    verif\w+, shown by, signed off, sign-?off, tests? pass, tested, passes, complete when, success, abnahme\w*,
    kriteri\w+, fertig (?:ist|wenn), fertig, ergebnis\w*
    """
)
"""By these words a phase says when it is done."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A part of a plan: what to say where none of its `words` is there."""

    severity: Severity
    words: tuple["re.Pattern[str]", ...]
    message: str
    suggestion: str


PARTS = (
    Expected(
        "warning",
        (
            pattern(
                "goals?, objectives?, purpose, aims?, vision, so that, in order to, outcomes?, ziele?, zweck, damit"
            ),
        ),
        "It does not say what it is for.",
        "Say in one sentence what is better for whom when it is done.",
    ),
    Expected(
        "error",
        (
            pattern(
                r"""
                owners?, owned by, responsible, assigned, assignees?, lead, leads, led by, team, raci, @\w+,
                verantwortlich\w*, zuständig\w*
                """
            ),
        ),
        "It does not say who does it.",
        "Name one owner for each phase.",
    ),
    Expected(
        "error",
        (
            pattern(
                r"""
                weeks?, days?, months?, timeline, deadline, schedule, due, duration, sprints?, q[1-4], wochen?, tage?n?,
                monate?n?, zeitplan, termin\w*, frist\w*, dauer
                """
            ),
            DATE,
        ),
        "It does not say when it happens.",
        "Give each phase a duration or an end.",
    ),
    Expected(
        "error", (DONE,), "It does not say how it is accepted.", "Write for each phase by what it is known to be done."
    ),
    Expected(
        "error",
        (pattern(r"tests?, testing, tested, testen, qa, verif\w+, prüf\w+, erprob\w+"),),
        "It speaks of no tests.",
        "Say what is tested, by whom, and when.",
    ),
    Expected(
        "warning",
        (
            pattern(
                r"""
                risks?(?!\s*[:–-]?\s*(?:none|no|n/a|keine)\b), mitigat\w+, contingenc\w+, assumptions?,
                risik\w+(?!\s*[:–-]?\s*keine\b), annahmen?
                """
            ),
        ),
        "It names no risks.",
        "Name the three most likely things to go wrong, and what then.",
    ),
    Expected(
        "warning",
        (
            pattern(
                r"""
                roll(?:ed)? ?-?back, revert\w*, fall ?-?back, undo, way back, backups?, restor\w+, rückfall\w*,
                zurückroll\w*, rückbau, notfallplan\w*
                """
            ),
        ),
        "It has no way back.",
        "Say how each change that users see is taken back.",
    ),
    Expected(
        "warning",
        (
            pattern(
                r"""
                roll(?:ed)? ?-?out, deploy\w*, release\w*, launch\w*, go[- ]?live, pilot\w*, cut ?-?over, migrat\w+,
                einführung\w*, ausroll\w*, inbetriebnahme, produktiv\w*
                """
            ),
        ),
        "It does not say how it goes live.",
        "Say how it reaches its users, in which steps.",
    ),
    Expected(
        "warning",
        (
            pattern(
                r"""
                monitor\w*, alert\w*, metrics?, logging, observab\w+, on-?call, support, maintenance, operat(?:e|ions?),
                betrieb, überwach\w*, wartung
                """
            ),
        ),
        "It does not say how it is looked after once it is live.",
        "Say who looks after it, and by which numbers.",
    ),
    Expected(
        "warning",
        (
            pattern(
                r"budget\w*, costs?, effort, person[- ]days?, fte, kosten, aufwand, personentage, \d+ ?k?(?:€|eur|usd)"
            ),
            re.compile(r"[€$£]\s?\d|\d\s?[€$£]"),
        ),
        "It does not say what it costs.",
        "Give the effort or the money, with its bounds.",
    ),
    Expected(
        "warning",
        (pattern("out of scope, not in scope, non-?goals?, excluded, nicht enthalten, nicht-?ziele, abgrenzung"),),
        "It does not say what is out of scope.",
        "Say what is not done.",
    ),
)

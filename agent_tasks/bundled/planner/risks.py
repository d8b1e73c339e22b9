"""The risks that a text speaks of, and what follows from each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent_tasks.bundled.planner.outline import Statement
from agent_tasks.bundled.planner.results import Constraint, Requirement, Risk
from agent_tasks.bundled.planner.stages import Key
from agent_tasks.bundled.planner.vocabulary import pattern

MOST = 20
_UNMEASURED_PART = 0.2
"""The share of requirements that no test can decide from which it is a risk of the whole."""
_DENIED = re.compile(r"\b(?:no|not|without|never|kein\w*|nicht|ohne)\s+(?:\w+\s+){0,2}$", re.I)


@dataclass(frozen=True, slots=True)
class _Signal:
    name: str
    words: "re.Pattern[str]"
    consequence: str
    response: str
    stage: Key
    """The stage in which the response is due."""


_SIGNALS = (
    _Signal(
        "Data is lost or wrong after the migration",
        pattern(
            r"""
            migrat\w+, legacy data, old (?:\w+ )?(?:system|database|application),
            move (?:the |all )?[\d.,]* ?(?:customers|records|data), legacy systems?, altdaten\w*, altsystem\w*,
            ablös\w+, data import,
            übernahme
            """
        ),
        "Users meet records that are missing or wrong, and the old system may be gone by then.",
        "Rehearse the migration on a copy, compare counts and samples, and keep the old system readable until that "
        "agrees.",
        "design",
    ),
    _Signal(
        "Something outside of the team decides the pace",
        pattern(
            r"""
            third[- ]party, vendors?, suppliers?, external (?:system|service|api|partner)\w*, integrat\w+, sap,
            schnittstelle\w*, dienstleister\w*, lieferant\w*, extern\w+
            """
        ),
        "An interface that comes late, or differs from what was said, stops every phase that needs it.",
        "Agree on the interface in writing first, build against a stand-in, and try the real one in the first phase.",
        "design",
    ),
    _Signal(
        "Personal data is handled wrongly",
        pattern(
            r"""
            personal data, gdpr, dsgvo, personenbezogen\w*, privacy, patients?, medical, health data, hipaa,
            datenschutz\w*, customer data, kundendaten, patient\w*
            """
        ),
        "Fines, a stop by the data protection officer, and trust that is lost.",
        "List what is stored, why, how long and who sees it; have it approved before the first real record is stored.",
        "discovery",
    ),
    _Signal(
        "Money is booked twice or not at all",
        pattern(
            r"""
            payments?, credit cards?, billing, invoic\w+, refunds?, checkout, zahlung\w*, rechnung\w*, sepa,
            pci(?:[- ]dss)?
            """
        ),
        "A repeated or lost message charges a customer twice, or nobody.",
        "Give each payment a key of its own, make repeats harmless, reconcile daily, and leave card data to the "
        "provider.",
        "build",
    ),
    _Signal(
        "Access is given to the wrong people",
        pattern(
            r"""
            log ?in, passwords?, authenticat\w+, permissions?, roles?, admin\w*, sso, single sign-?on, oauth\w*,
            anmeld\w+, passw\w+, berechtigung\w*, rollen?
            """
        ),
        "Somebody reads or changes what is not theirs.",
        "Deny by default, write a test for all that each role may not do, and use a proven library for logins.",
        "foundations",
    ),
    _Signal(
        "Load is higher than what was tried",
        pattern(
            r"""
            concurrent\w*, peak, high load, thousands, millions?,
            [\d.,]{5,}\+? (?:\w+ )?(?:users|requests|customers|devices|rows|tasks),
            scalab\w+, scale (?:to|up), throughput, latency,
            p9[59], skalier\w*, gleichzeitig\w*, last(?:spitze\w*|test\w*)
            """
        ),
        "It works in the demonstration and slows down or stops with everybody on it.",
        "Measure with data and load of the real size before the pilot, and again before the rollout.",
        "verification",
    ),
    _Signal(
        "An outage lasts longer than is allowed",
        pattern(
            r"""
            availability, uptime, 99[.,]\d+ ?%?, 24/7, downtime, outages?, disaster\w*, failover, verfügbarkeit,
            ausfall\w*, hochverfügbar\w*, rund um die uhr, crash\w*
            """
        ),
        "Work stands still, and nobody has practised bringing it back.",
        "Practise restoring from a backup and losing each server before the rollout, and write down who does what.",
        "verification",
    ),
    _Signal(
        "Devices or hardware come late",
        pattern(
            r"""
            hardware, sensors?, devices? (?:must|will|have), scanners?, kiosks?, printers?, geräte\w*, sensor\w*,
            drucker, handheld\w*
            """
        ),
        "Software is ready and cannot be tried where it is to run.",
        "Order first, and keep a simulator for the time until then.",
        "discovery",
    ),
    _Signal(
        "One person knows what others need",
        pattern(
            r"""
            only (?:[A-Z]\w+|one person|he|she) (?:knows|can), is leaving, on (?:vacation|leave|holiday), retir\w+,
            knows the (?:old )?(?:code|system), kennt sich (?:nur )?, nur \w+ (?:weiß|kennt), im urlaub, in rente,
            elternzeit, part[- ]time
            """
        ),
        "Questions stay open while that person is away, and the plan waits.",
        "Have the knowledge written down or shown to a second person in the first phase.",
        "discovery",
    ),
    _Signal(
        "Those who are to use it do not",
        pattern(
            r"""
            training, trained, change management, adoption, schulung\w*, einführung, akzeptanz,
            betriebsrat\w*, works council
            """
        ),
        "The old way goes on beside the new one, and both are wrong.",
        "Let a few of them try it early, train before the rollout, and name the day on which the old way ends.",
        "pilot",
    ),
    _Signal(
        "Rules of law or an authority are met too late",
        pattern(
            r"""
            certif(?:y|ied|ication)\w*, regulator\w*, approval by, authorities, iso ?\d{4,5}, soc ?2, works council,
            betriebsrat\w*,
            zulassung\w*, zertifizier\w*, behörde\w*, genehmigung\w* durch
            """
        ),
        "The approval takes weeks in which nothing may go live.",
        "Ask for the list of evidence first, collect it in each phase, and plan the time of the approval.",
        "discovery",
    ),
)


def risks(
    statements: Sequence[Statement],
    requirements: Sequence[Requirement],
    questions: Sequence[Statement],
    constraints: Sequence[Constraint],
) -> list[Risk]:
    """Return the risks, each with the first statement that speaks of it."""
    found: list[Risk] = []
    for signal in _SIGNALS:
        speaking = [statement for statement in statements if _speaks(signal, statement.text)]
        if speaking:
            more = f" (and {len(speaking) - 1} more)" if len(speaking) > 1 else ""
            found.append(
                _risk(
                    signal.name,
                    f"“{_short(speaking[0].text)}”{more}",
                    speaking[0].line,
                    signal.consequence,
                    signal.response,
                )
            )
    return [*found, *_of_the_whole(requirements, questions, constraints)][:MOST]


def stage_of(risk: Risk) -> Key:
    """Return the stage in which the response to a risk is due."""
    for signal in _SIGNALS:
        if signal.name == risk.name:
            return signal.stage
    return "discovery"


def _of_the_whole(
    requirements: Sequence[Requirement], questions: Sequence[Statement], constraints: Sequence[Constraint]
) -> list[Risk]:
    """The risks that no sentence speaks of."""
    found: list[Risk] = []
    due = next((limit for limit in constraints if limit.kind == "deadline"), None)
    musts = [requirement for requirement in requirements if requirement.priority == "must"]
    if due is not None and len(requirements) >= 5:
        found.append(
            _risk(
                "The date is fixed and the scope is not small",
                f"“{_short(due.text)}”, with {len(requirements)} requirements, {len(musts)} of them musts",
                due.line,
                "What is left at the end is cut: tests, documentation, what was to come last.",
                "Agree now on what may be left out, in order, and finish the musts before anything else is begun.",
            )
        )
    vague = [requirement for requirement in requirements if requirement.problem]
    if vague and len(vague) >= _UNMEASURED_PART * len(requirements):
        ids = ", ".join(requirement.id for requirement in vague[:8])
        more = ", …" if len(vague) > 8 else ""
        found.append(
            _risk(
                "It is not known when it is done",
                f"No test can decide {len(vague)} of {len(requirements)} requirements: {ids}{more}",
                vague[0].line,
                "Acceptance becomes a matter of opinion, and work goes on past its budget.",
                "Put a number or an observation to each of them before it is built.",
            )
        )
    if questions:
        found.append(
            _risk(
                "Open questions are answered by whoever builds",
                f"{_counted(questions)}, such as “{_short(questions[0].text)}”",
                questions[0].line,
                "What was guessed is built, and is changed when somebody sees it.",
                "Name who answers each question, and until when, before the phase that needs the answer.",
            )
        )
    return found


def _counted(questions: Sequence[Statement]) -> str:
    return "One question is open" if len(questions) == 1 else f"{len(questions)} questions are open"


def _speaks(signal: _Signal, text: str) -> bool:
    return any(not _DENIED.search(text[: found.start()]) for found in signal.words.finditer(text))


def _risk(name: str, evidence: str, line: int | None, consequence: str, response: str) -> Risk:
    return Risk(name=name, evidence=evidence, line=line, consequence=consequence, response=response)


def _short(text: str) -> str:
    return text if len(text) <= 140 else f"{text[:139].rstrip()}…"

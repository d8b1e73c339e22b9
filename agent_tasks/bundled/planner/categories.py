"""What a requirement is about: a quality of the system, or one of the things it does."""

import re
from typing import Literal

from agent_tasks.bundled.planner.vocabulary import pattern

Kind = Literal["functional", "non_functional"]

_QUALITIES: dict[str, re.Pattern[str]] = {
    "performance": pattern(
        r"""
        performance, latenc\w+, throughput, response times?, respon(?:d|ds|se) (?:with)?in, loads? (?:with)?in,
        p(?:50|90|95|99), \d+ ?ms, \d+ (?:\w+ )?(?:per|a) second, concurrent\w*, fast, quick\w*,
        (?:within|under|below|in) (?:\d+|one|two|three|five|ten) seconds?, antwortzeit\w*, ladezeit\w*, durchsatz,
        schnell\w*, performant\w*, gleichzeitig\w*,
        (?:innerhalb|in|unter|binnen) (?:von )?(?:\d+|zwei|drei|fünf) sekunden?
        """
    ),
    "availability": pattern(
        r"""
        availability, uptime, highly available, available (?:at all|24|around|99), 99[.,]\d+ ?%?, failover,
        fail-?safe, downtime, outages?, recover\w*, disaster\w*, redundan\w+, backups?, durab\w+, crash\w*,
        restart\w*, reliab\w+, robust\w*, verfügbarkeit, ausfall\w*, hochverfügbar\w*, wiederherstell\w*,
        sicherung\w*, zuverlässig\w*, 24/7, rund um die uhr
        """
    ),
    "security": pattern(
        r"""
        secur\w+, encrypt\w*, tls, https, authenticat\w+, authori[sz]ation, passwords?, vulnerab\w+, penetration\w*,
        owasp, two-factor, 2fa, mfa, single sign-?on, sso, malicious\w*, attack\w*, injection, verschlüssel\w+,
        passw\w+, sicherheit\w*, zugriffsrecht\w*, berechtigung\w*, rollenkonzept\w*, anmeld\w+
        """
    ),
    "compliance": pattern(
        r"""
        gdpr, dsgvo, personal data, personenbezogen\w*, privacy, consent, hipaa, pci(?:[- ]dss)?, iso ?\d{4,5},
        soc ?2, complian\w+, regulat\w+, legal\w*, audit\w*, datenschutz\w*, gesetz\w*, revisionssicher\w*,
        aufbewahrung\w*, löschfrist\w*, retention (?:period|time|policy)
        """
    ),
    "usability": pattern(
        r"""
        usab\w+, user[- ]friendly, accessib\w+, wcag\w*, intuitive\w*, easy to, easily, screen readers?,
        barrierefrei\w*, benutzerfreundlich\w*, bedienbar\w*, intuitiv\w*, einfach zu, without training,
        ohne schulung
        """
    ),
    "scalability": pattern(
        r"""
        scal(?:e|es|ing|able|ability), grow\w*, skalier\w*,
        (?:up to|support) [\d.,]+ (?:\w+ )?(?:users|customers|devices|tenants), wachs\w+
        """
    ),
    "maintainability": pattern(
        r"""
        maintain\w*, document(?:ation|ed), logging, logs, monitor\w*, metrics?, observab\w+, test coverage,
        unit tests?, code reviews?, upgrade\w*, wartbar\w*, wartung\w*, dokumentation\w*, dokumentiert, überwach\w*
        """
    ),
    "portability": pattern(
        r"""
        browsers?, chrome, firefox, safari, ios, android, windows, linux, macos, compatib\w+, docker, kubernetes,
        python 3\S*, responsive, mobile devices?, kompatib\w+, mobilgerät\w*, on[- ]prem\w*
        """
    ),
}  # fmt: skip
_THINGS: dict[str, re.Pattern[str]] = {
    "integration": pattern(
        r"""
        integrat\w+, api, apis, webhooks?, interfaces? (?:to|with), synchroni[sz]\w+, sync, import\w*, export\w*,
        third[- ]party, sap, crm, erp, schnittstelle\w*, anbind\w*, anschluss, gateway, single sign-?on, ldap,
        active directory
        """
    ),
    "data": pattern(
        r"""
        database\w*, data model, migrat\w+, stor(?:e|es|ed|age), records?, schema, tables?, persist\w*, archiv\w*,
        datenbank\w*, daten, stammdaten, speicher\w*, altdaten, import\w*
        """
    ),
    "access": pattern(
        r"""
        log ?in, sign[- ]?(?:in|up|on), regist\w+, roles?, permissions?, accounts?, authenticat\w+, sso, anmeld\w+,
        registrier\w*, rollen?, konto, rechte
        """
    ),
    "reporting": pattern(
        r"""
        reports?, dashboards?, charts?, statistic\w*, analytics, bericht\w*, auswertung\w*, statistik\w*,
        übersicht\w*
        """
    ),
    "notification": pattern(
        r"""
        notif\w+, e-?mails?, sms, alerts?, remind\w*, push, benachrichtig\w*, erinner\w*, alarm\w*
        """
    ),
    "payment": pattern(
        r"""
        pays?, paid, paying, payments?, invoic\w+, billing, refunds?, checkout, credit cards?, zahlung\w*,
        bezahl\w*, rechnung\w*, sepa
        """
    ),
    "search": pattern("search\\w*", "filter\\w*", "sort\\w*", "such\\w+", "filtern", "sortier\\w*"),
}  # fmt: skip
_DOES = re.compile(
    r"\b(?:users?|customers?|admin\w*|clients?|operators?|nutzer\w*|kunden?|benutzer\w*|anwender\w*)\b.{0,40}"
    r"\b(?:can|must be able|shall be able|should be able|be able|may|want|können|kann|sollen|soll)\b",
    re.I,
)
_DEED = frozenset({"security", "availability", "maintainability", "compliance"})
"""Qualities whose words name deeds of users as well: to log in, to restore a version."""


def categorised(text: str, section: str | None) -> tuple[Kind, str]:
    """Return the kind and the category of a requirement; the heading above it decides where it names a kind."""
    said = section or ""
    quality = next((name for name, found in _QUALITIES.items() if found.search(text)), None)
    thing = next((name for name, found in _THINGS.items() if found.search(text)), "behaviour")
    if _NON_FUNCTIONAL.search(said):
        return "non_functional", quality or "other"
    if _FUNCTIONAL.search(said):
        return "functional", thing
    if quality is None:
        by_heading = next((name for name, found in _QUALITIES.items() if found.search(said)), None)
        return ("non_functional", by_heading) if by_heading else ("functional", thing)
    if quality in _DEED and _DOES.search(text):
        return "functional", thing if thing != "behaviour" else "access" if quality == "security" else thing
    return "non_functional", quality


_NON_FUNCTIONAL = re.compile(r"non-?\s?functional|nicht-?\s?funktional|quality|qualität|must reach|constraints", re.I)
_FUNCTIONAL = re.compile(
    r"(?<!non-)(?<!non)(?<!non )(?<!nicht)(?<!nicht-)functional|features?|user stor|funktional|funktion", re.I
)

"""Who acts in a text: people by their roles, and systems by their names."""

import re
from collections import Counter
from collections.abc import Iterable

from agent_tasks.bundled.planner.outline import Statement
from agent_tasks.bundled.planner.results import Actor
from agent_tasks.bundled.planner.vocabulary import STORY

MOST = 20
_ROLES = re.compile(
    r"\b((?:(?:end|key|power|super|system|site|account|project|product|support|sales|store|warehouse|data)[- ])?"
    r"(?:users?(?![- ](?:interface|friendly|experience|stor))|customers?|clients?|admin(?:istrator)?s?|operators?|"
    r"managers?|employees?|agents?|editors?|reviewers?|"
    r"approvers?|members?|guests?|visitors?|"
    r"owners?|developers?|engineers?|analysts?|auditors?|students?|teachers?|patients?|doctors?|nurses?|citizens?|"
    r"drivers?|dispatchers?|clerks?|buyers?|sellers?|"
    r"suppliers?|vendors?|partners?|tenants?|librarians?|moderators?|staff|team leads?|stakeholders?|subscribers?|"
    r"callers?|receptionists?|accountants?))\b",
    re.I,
)
_ROLES_DE = re.compile(
    r"\b((?:Be)?[Nn]utzer(?:innen)?|Anwender(?:innen)?|Kund(?:e|en|in|innen)|Administrator(?:en|in)?|"
    r"Vorgesetzte[nr]?|Mitarbeiter(?:innen|in|n)?|Mitarbeitende[nr]?|"
    r"Sachbearbeiter(?:innen|in)?|Bearbeiter(?:in)?|Leiter(?:in)?|Lieferant(?:en)?|Besucher(?:innen)?|Bürger(?:innen)?|"
    r"Patient(?:en|in)?|Ärzt(?:e|in)|Lehrer(?:innen)?|"
    r"Schüler(?:innen)?|Redakteur(?:e|in)?|Prüfer(?:in)?|Disponent(?:en|in)?|Fahrer(?:innen)?|Buchhaltung|Fachbereich|"
    r"Geschäftsführung|Vertrieb|Lager\w*|Einkauf)\b"
)
_MARKED = r"[A-Z][A-Za-z]*[A-Z0-9][\w/.+-]*(?: (?:API|S/4HANA|CRM|ERP))?|[A-Z][a-z]+(?= (?:API|CRM|ERP|system|System))"
"""A name that its capitals or the word behind it make one; in German any noun has the first of them."""
_LINK = (
    r"\b(?:integrat\w+|connect\w*|sync\w*|import\w*|export\w*|interfaces?|migrat\w+|sen[dt]s?|transfer\w*|go|goes|"
    r"pull\w*|"
    r"push\w*|schnittstelle\w*|anbind\w+|angebunden|sign-?on|log ?in|payment)\b[^.;]{0,60}?"
    r"\s(?:with|w/|to|from|via|into|through|against|provider|an|mit|aus|zu|über)\s+"
    r"(?:(?:the|our|your|das|die|der|dem|den|[a-zäöü]+)\s){0,3}\(?"
)
_SYSTEM = re.compile(rf"{_LINK}({_MARKED}|[A-Z][a-z]+(?: [A-Z][a-z]+)?)")
_SYSTEM_DE = re.compile(rf"{_LINK}({_MARKED})")
_SYSTEM_DE_END = re.compile(
    rf"\b(?:nach|an|mit|aus|von|zu)\s+(?:das |die |der |dem |den )?({_MARKED})\s(?:\w+\s){{0,3}}\w*"
    r"(?:übertrag|angebunden|exportier|importier|synchronisier|übernommen|übermittel|verbunden)"
)
_GERMAN = re.compile(r"\b(?:der|die|das|und|muss|müssen|soll|sollen|werden|wird|nicht|mit|für)\b")
_NO_SYSTEM = frozenset(
    [
        "API",
        "APIS",
        "CSV",
        "PDF",
        "JSON",
        "XML",
        "HTML",
        "HTTP",
        "HTTPS",
        "REST",
        "UTC",
        "UTF-8",
        "TLS",
        "SQL",
        "URL",
        "URLS",
        "ID",
        "IDS",
        "IT",
        "UI",
        "UX",
        "SLA",
        "GDPR",
        "DSGVO",
        "TBD",
        "TODO",
        "FAQ",
        "OK",
        "AES",
        "RFC",
        "ISO",
        "WCAG",
        "CPU",
        "RAM",
    ]
)


def actors(statements: Iterable[Statement]) -> list[Actor]:
    """Return those that act, the most often named first."""
    people: Counter[str] = Counter()
    systems: Counter[str] = Counter()
    for statement in statements:
        for name, kind in named(statement.text):
            (people if kind == "person" else systems)[name] += 1
    found = [Actor(name=name, kind="person", mentions=times) for name, times in people.most_common(MOST)]
    found += [Actor(name=name, kind="system", mentions=times) for name, times in systems.most_common(MOST)]
    return sorted(found, key=lambda actor: -actor.mentions)


def named(text: str) -> list[tuple[str, str]]:
    """Return the actors that a text names, each with its kind."""
    found: dict[str, str] = {}
    if story := STORY.match(text):
        found[story["de"] or _folded(story["en"])] = "person"
    for role in _ROLES.findall(text):
        found.setdefault(_folded(role), "person")
    for role in _ROLES_DE.findall(text):
        found.setdefault(role, "person")
    is_german = _GERMAN.search(text) is not None
    for find in (_SYSTEM_DE, _SYSTEM_DE_END) if is_german else (_SYSTEM,):
        for system in find.findall(text):
            name = system.strip(" .,;-/")
            if name.upper() not in _NO_SYSTEM and len(name) > 1:
                found.setdefault(name, "system")
    return list(found.items())


def _folded(role: str) -> str:
    """A role in the singular and in lower case, so that it is counted once."""
    plain = role.lower().strip()
    for long, short in (("administrators", "administrator"), ("admins", "administrator"), ("admin", "administrator")):
        if plain == long:
            return short
    return plain[:-1] if plain.endswith("s") and not plain.endswith("ss") else plain

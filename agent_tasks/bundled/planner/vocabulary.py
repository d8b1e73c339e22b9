"""English and German words as requirements and plans use them."""

import re


def pattern(*words: str) -> "re.Pattern[str]":
    """Return what finds any of these expressions, each as whole words; one text may list several, with commas."""
    listed = [part for text in words for part in re.split(r",\s+|\n", text.strip().replace(",\n", "\n"))]
    return re.compile(rf"(?<!\w)(?:{'|'.join(part.strip() for part in listed)})(?!\w)", re.IGNORECASE)


MUST = pattern(
    r"""
    must, shall, (?:is|are|be) (?:required|obliged|mandatory), ha(?:s|ve) to, needs? to, (?:we|i|they) need, cannot,
    can ?not, can't, may not, mustn't, only ever, never, ensure, (?:is|are) to be, essential, muss, muß, müssen, musst,
    darf nicht, dürfen nicht, darf kein\w*, dürfen kein\w*, zwingend, erforderlich, (?:wird|werden) benötigt,
    (?:wir|ich) (?:brauche|brauchen|benötigen), ist zu, sind zu, verpflichtend
    """
)  # fmt: skip
SHOULD = pattern(
    r"""
    should, ought to, (?:is|are) expected to, (?:we|i|they|users?|customers?) (?:would like|want|wants|'d like),
    i want, would like, recommended, preferabl[ey], important, soll, sollen, sollte, sollten, wünsch\w+, möchte,
    möchten, (?:wir|sie) wollen, wäre schön
    """
)  # fmt: skip
WISHED = pattern(
    r"""
    nice to have, optional\w*, ideally, if possible, if time, bonus, would be (?:nice|great|good), idealerweise,
    wenn möglich, falls möglich, gern\w*, wünschenswert, wäre schön
    """
)
COULD = pattern("could, may, might, könnte, könnten", WISHED.pattern)
ABLE = pattern(
    r"""
    can, will, allows?, supports?, provides?, is able to, kann, können, wird, werden, ermöglicht, unterstützt
    """
)
ASKS = re.compile(
    r"(?:please\s+)?(?:add|allow|support|provide|implement|ensure|enable|show|display|send|store|offer|include|"
    r"integrate|"
    r"export|import|encrypt|log|keep|make|create|build|let|validate|notify|generate|track|remove|replace|migrate|"
    r"upload|"
    r"download|search|sync|schedule|manage|publish|record|verify|return|reject|accept|limit|handle)\b(?!\s*[:,.])"
    r"|(?:als|as an?) .{2,60}?(?:möchte|will|i want|i need|i would like|i can)\b",
    re.I,
)  # fmt: skip
STORY = re.compile(
    r"(?:as an? (?P<en>[^,]{2,60}?),? (?:i|we) (?:want|need|would like|'d like|can|should)"
    r"|als (?P<de>[^,]{2,60}?),? (?:möchten?|wollen|will|brauchen?|kann|können) (?:ich|wir))\b",
    re.I,
)
CRITERION = re.compile(r"(?:given|when|then|angenommen|wenn|dann)\b.+\b(?:then|dann|when|wenn)\b", re.I)
REQUIREMENT_SECTION = pattern(
    r"""
    requirement\w*, features?, functional\w*, non-functional\w*, user stor\w+, must\w*, delivers?, deliverables?,
    acceptance\w*, capabilit\w+, needs, wish\w*, scope, anforderung\w*, funktion\w*, leistung\w*, wünsche,
    \w*kriterien, lieferumfang, muss-?\w*, soll-?\w*, kann-?\w*, bad input, shown by, what to do
    """
)  # fmt: skip
OUT_OF_SCOPE = re.compile(
    r"\b(?:out of scope|not in scope|non-goals?|excluded|exclusions|won't have|not included|nicht enthalten|außerhalb|"
    r"nicht-?ziele|abgrenzung|not part of|nicht teil|not (?:needed|required|necessary)|"
    r"no need (?:for|to)|nicht (?:nötig|notwendig|erforderlich))\b",
    re.I,
)
BACKGROUND_SECTION = pattern(
    r"""
    background, introduction, about, context, history, hintergrund, einleitung, ausgangslage, motivation
    """
)  # fmt: skip
PROCUREMENT = pattern(
    r"""
    proposals?, bidders?, tender\w*, offerors?, respondents?,
    vendors? (?:must|shall|should) (?:submit|provide|state|include|describe), quotations?, references? of,
    angebot\w*, bieter\w*, auftragnehmer\w*, vergabe\w*
    """
)  # fmt: skip
VAGUE = pattern(
    r"""
    fast, quick\w*, user[- ]friendly, easy, easily, intuitive\w*, simple, flexible, robust, scalable,
    efficient\w*, modern, state[- ]of[- ]the[- ]art, appropriate\w*, adequate\w*, sufficient\w*, reasonable,
    reasonably, seamless\w*, as soon as possible, asap, high quality, good, better, best, nice, optimal\w*,
    reliabl[ey], minimal, as needed, where possible, if possible, etc, and so on, various, some kind of, smooth\w*,
    near real[- ]time, schnell\w*, einfach\w*, benutzerfreundlich\w*, intuitiv\w*, flexib\w+, robust\w*,
    skalierbar\w*, effizient\w*, moderne?\w*, angemessen\w*, ausreichend\w*, zeitnah\w*, möglichst, gut\w*, usw,
    u\.? ?s\.? ?w, zuverlässig\w*, performant\w*
    """
)  # fmt: skip
OPEN = re.compile(
    r"\b(?:tbd|tbc|tba|to be (?:decided|determined|defined|confirmed|discussed)|todo|fixme|xxx|not (?:yet )?(?:decided|"
    r"clear|known)"
    r"|unclear|noch (?:offen|zu klären|unklar)|offen\s*:|zu klären|unklar|nicht geklärt)\b|\?\?+",
    re.I,
)
MEASURE = re.compile(
    r"\d[\d.,’']*\s*(?:%|percent|prozent|ms|s\b|sec|seconds?|sekunden?|min\b|minutes?|minuten?|h\b|hours?|stunden?|"
    r"days?|tagen?|"
    r"weeks?|wochen?|months?|monaten?|years?|jahren?|/\s*\w+|x\b|×|kb|mb|gb|tb|users?|nutzer\w*|benutzer\w*|kunden|"
    r"customers|requests?|"
    r"anfragen|rows|records|datensätze|items|files|pixels?|px|characters|zeichen|times|per\b|pro\b|concurrent\b|"
    r"gleichzeitig\w*|"
    r"attempts?|versuch\w*|clicks?|klicks?|km|m\b|€|\$|eur|usd)"
    r"|[<>≤≥=]\s*\d|\b(?:at most|at least|within|under|below|above|no more than|less than|more than|up to|exactly|"
    r"mindestens|höchstens|"
    r"maximal|innerhalb|unter|über|weniger als|mehr als|bis zu|binnen)\s+(?:von\s+)?\S{0,3}\d"
    r"|\bp(?:50|90|95|99)\b"
    r"|\b(?:wcag|iso|rfc|din|owasp|tls|aes|oauth|saml|openapi|utf|iec|sha)(?:[- ]?\d[\w.]*)?\b"
    r"|\b(?:two|three|four|five|six|ten|zwei|drei|vier|fünf|sechs|zehn)\s+(?:seconds?|minutes?|hours?|days?|weeks?|"
    r"months?|"
    r"sekunden|minuten|stunden|tagen?|wochen|monaten?)",
    re.I,
)
MONEY = re.compile(
    r"(?:[€$£]\s?\d[\d.,' ]*(?:\s?(?:k|m|million|mio\.?|thousand|tausend))?|\d[\d.,' ]*\s?(?:k|m|million|mio\.?|"
    r"tausend)?\s?(?:€|\$|£|eur\b|euros?\b|usd\b|chf\b|dollars?\b|gbp\b))",
    re.I,
)
_MONTH = (
    "jan(?:uar[y]?)?|feb(?:ruar[y]?)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?|"
    "sept?(?:ember)?|"
    "o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?"
)
DATE = re.compile(
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}\.\s?\d{{1,2}}\.(?:\s?\d{{2,4}})?(?!\d)|\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s(?:of\s)?(?:{_MONTH})\b(?:\s\d{{4}})?|\b(?:{_MONTH})\s\d{{1,2}}(?:st|nd|rd|"
    rf"th)?\b(?:,?\s\d{{4}})?"
    rf"|\b(?:end of|by|before|until|bis|ende|anfang|mitte|early|mid|late|in)\s(?:{_MONTH})(?:\s\d{{4}})?\b|"
    rf"\bQ[1-4](?:[ /]\d{{2,4}})?\b|\b(?:KW|week)\s?\d{{1,2}}\b",
    re.I,
)
DUE = re.compile(
    r"\b(?:deadline|due (?:date|by|on)|no later than|stichtag|frist|spätestens|fertig bis|"
    r"(?:within|in|innerhalb von|binnen|in den nächsten)\s(?:the next\s)?"
    r"(?:\d+|two|three|four|five|six|zwei|drei|vier|fünf|sechs)\s(?:weeks?|months?|wochen?|monaten?))\b",
    re.I,
)
LIMIT_SECTION = pattern(
    r"""
    constraints?, timeline, time ?line, schedule, deadlines?, dates, budget\w*, costs?, rahmenbedingungen, termine?,
    zeitplan\w*, kosten\w*, fristen, randbedingungen
    """
)
PROJECT = pattern(
    r"""
    contract, go-?live, budget\w*, project, launch, tender, (?:be|is|goes?|go) live, einführung, projekt,
    inbetriebnahme, vertrag
    """
)
"""What a date or a sum of money is about where it limits the project, and asks nothing of what it builds."""

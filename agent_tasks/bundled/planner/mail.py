"""What a mail has around what it says: heads, quotation marks, greetings, signatures."""

import re

_HEAD = re.compile(
    r"(?:from|to|cc|bcc|date|sent|subject|reply-to|von|an|datum|gesendet|betreff|importance|attachments?):\s", re.I
)
_SUBJECT = re.compile(r"(?:subject|betreff):\s*(?:(?:re|fwd?|aw|wg):\s*)*(.+)", re.I)
_QUOTED = re.compile(r"\s{0,3}(?:>\s?)+")
_WROTE = re.compile(
    r".{4,150}\b(?:wrote|schrieb.{0,60}):$|-{2,} ?(?:original message|forwarded message|ursprüngliche)", re.I
)
_GREETING = re.compile(
    r"(?:(?:hi|hello|hey|dear|hallo|liebe[rs]?|moin|sehr geehrte[rs]?|guten (?:tag|morgen))\b[^.!?:]{0,40}[,!.]?"
    r"|(?:thanks|thank you|thx|cheers|best|kind regards|best regards|regards|sincerely|danke|vielen dank|viele grüße"
    r"|liebe grüße|mit freundlichen grüßen|beste grüße|gruß|lg|mfg)\b[^.!?:]{0,30}[,.!]*)$",
    re.I,
)
_SIGNATURE = re.compile(r"--\s?$|sent from my |von meinem .{2,20} gesendet", re.I)


def without_mail(lines: list[str]) -> tuple[str | None, list[str]]:
    """Return the subject of a mail, and its lines with what is not its content left empty.

    The lines keep their numbers. Text that is no mail stays as it is, but for greetings and quotation marks.
    """
    heads = [at for at, line in enumerate(lines) if _HEAD.match(line)]
    is_mail = any(_HEAD.match(line) for line in lines[:3]) and len(heads) > 1
    subject: str | None = None
    kept: list[str] = []
    in_signature = False
    for at, line in enumerate(lines):
        if (quoted := _QUOTED.match(line)) is not None:
            line = line[quoted.end() :]
            in_signature = False
        bare = line.strip()
        if is_mail and at in heads:
            found = _SUBJECT.match(bare)
            subject = subject or (found[1].strip() if found else None)
            bare = ""
        elif in_signature or _SIGNATURE.match(bare):
            in_signature = bool(bare)
            bare = ""
        elif _WROTE.match(bare) or _GREETING.match(bare):
            bare = ""
        kept.append(line if bare else "")
    return subject, kept

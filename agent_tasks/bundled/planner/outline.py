"""The outline of a text: its statements, each with the heading and the line that it stands at."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent_tasks.bundled.planner.mail import without_mail
from agent_tasks.bundled.planner.vocabulary import MUST
from agent_tasks.bundled.research.formats.blocks import Trail, clean, squeeze
from agent_tasks.bundled.research.sentences import sentences

LONGEST = 400
"""Characters of a statement that are kept."""

_HASHES = re.compile(r"(#{1,6})\s+(.+?)\s*#*$")
_NUMBERED = re.compile(r"(?:(?:\d{1,2}\.){1,4}\d{0,2}|\d{1,2}|[IVX]{1,4}\.|[A-Z]\.)\s+(?=\S)")
_ITEM = re.compile(r"(\s*)(?:[-*+•◦▪–·]|\(?(?:(\d{1,3})|[a-z])[.)])\s+(?:\[[ xX]\]\s+)?(?=\S)")
_INLINE_ITEM = re.compile(r"(?:(?<=\s)|^)\(?(\d{1,2})[.)]\s+(?=[^\W\d])")
_UNDERLINE = re.compile(r"(=|-){3,}\s*$")
_BOLD = re.compile(r"(?:\*\*|__)([^*_]+)(?:\*\*|__):?\s*$")
_RULE = re.compile(r"\s*(?:[-*_=~]\s*){3,}$")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_MARKS = re.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=[\w.!?])[*_](?!\w)")
_ID = re.compile(
    r"\[?((?!UTF|SHA|ISO|RFC|AES|DIN|IEC)[A-Z]{1,6}(?:[-_][A-Z]{1,6})*(?:[-_]\d+(?:\.\d+)*(?=\]|[\s:.)])|"
    r"\d+(?:\.\d+)*(?=\]|[:.)])))"
    r"\]?\s*[:.)\-–—]*\s+(?=\S)"
)
_PHASE = r"(?:phase|step|stage|milestone|sprint|schritt|etappe|meilenstein|stufe)\s*#?\d{1,2}\s*[:.)–—-]"
_MARKED = re.compile(rf"(\s*)(?={_ID.pattern}|(?i:{_PHASE}))")
_ENDS = (".", "!", "?", ",", ";", "…")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence or list item.

    `lead` is the sentence with a colon that opens its list, `id` the text's own, `number` that of a numbered item.
    """

    text: str
    line: int
    headings: tuple[str, ...] = ()
    item: bool = False
    lead: str | None = None
    id: str | None = None
    number: int | None = None

    @property
    def section(self) -> str | None:
        return self.headings[-1] if self.headings else None

    @property
    def whole(self) -> str:
        """The statement with its lead: what it says on its own."""
        return f"{self.lead} {self.text}" if self.lead else self.text


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    level: int
    line: int


@dataclass(slots=True)
class Outline:
    title: str | None = None
    headings: list[Heading] = field(default_factory=list[Heading])
    statements: list[Statement] = field(default_factory=list[Statement])


@dataclass(slots=True)
class _Block:
    """Lines that belong together: a paragraph, or one list item."""

    line: int
    lines: list[str]
    item: bool = False
    indent: int = 0
    number: int | None = None


def outline(text: str) -> Outline:
    """Read a text: Markdown, numbered sections, capitals for headings, lists, tables, mails with quoted ones."""
    subject, lines = without_mail(clean(text).split("\n"))
    found = Outline(title=subject)
    trail = Trail()
    leads: list[tuple[int, str]] = []
    for part in _parts(lines):
        if isinstance(part, Heading):
            found.headings.append(part)
            trail.enter(part.level, part.text)
            found.title = found.title or part.text
            leads = []
            continue
        said = squeeze(" ".join(part.lines))
        if part.item:
            leads = [(indent, lead) for indent, lead in leads if indent < part.indent + 1]
        lead = leads[-1][1] if part.item and leads else None
        statements = list(_statements(part, said, trail.headings, lead))
        found.statements += statements
        if said.endswith(":"):
            if not part.item:
                leads = []
            # An item's own list is further in; a paragraph's may begin anywhere.
            leads.append((part.indent + 1 if part.item else 0, statements[-1].text if statements else said))
        elif not part.item:
            leads = []
    return found


def _statements(block: _Block, said: str, headings: tuple[str, ...], lead: str | None) -> Iterator[Statement]:
    id: str | None = None
    if found := _ID.match(said):
        id, said = found[1], said[found.end() :]
    first = True
    for number, sentence in _split(said, block.number):
        text = squeeze(_MARKS.sub("", sentence)).strip()
        if any(c.isalnum() for c in text):
            shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
            is_item = block.item or number is not None
            yield Statement(shown, block.line, headings, is_item, lead, id if first else None, number)
            first = False


def _split(said: str, number: int | None) -> Iterator[tuple[int | None, str]]:
    """Split at ends of sentences, and a list that stands within a line at its numbers; only an item's first has one."""
    marks = list(_INLINE_ITEM.finditer(said))
    parts = [(number, said)]
    if len(marks) > 1:
        edges = [*(mark.start() for mark in marks), len(said)]
        parts = [(number, said[: edges[0]])]
        for mark, end in zip(marks, edges[1:], strict=True):
            parts.append((int(mark[1]), said[mark.end() : end].strip(" ,;")))
    for own, part in parts:
        for at, sentence in enumerate(sentences(part)):
            yield (None if at else own), sentence


def _parts(lines: list[str]) -> Iterator[Heading | _Block]:
    block: _Block | None = None
    is_code = False
    has_more = any(line.strip() for line in lines[1:])
    for at, line in enumerate(lines):
        bare = line.strip()
        following = lines[at + 1].strip() if at + 1 < len(lines) else ""
        if _FENCE.match(line):
            is_code = not is_code
        ends = is_code or not bare or _FENCE.match(line) or _RULE.match(line)
        heading = None if ends else _heading(bare, block is None, following, at + 1)
        if (
            not (ends or heading or following or at)
            and has_more
            and len(bare) <= 100
            and not bare.endswith((*_ENDS, ":"))
        ):
            heading = Heading(_plain(bare), 1, 1)
        item = None if ends or heading else _ITEM.match(line) or _MARKED.match(line)
        row = [] if ends or heading else _row(bare)
        if (ends or heading or item or row) and block is not None:
            yield block
            block = None
        if heading:
            yield heading
        elif item:
            indent, number = len(item[1].expandtabs()), int(item[2]) if item.re is _ITEM and item[2] else None
            # A list within the line is split with its first number in place.
            begin = item.start(2) if number and len(_INLINE_ITEM.findall(line)) > 1 else item.end()
            block = _Block(at + 1, [line[begin:]], item=True, indent=indent, number=number)
        elif row:
            yield _Block(at + 1, [" ".join(row)], item=True)
        elif not ends:
            if block is None:
                block = _Block(at + 1, [])
            block.lines.append(bare)
    if block is not None:
        yield block


def _heading(bare: str, begins: bool, following: str, line: int) -> Heading | None:
    """The heading that a line is; only a line at the `begins` of a block can be one that no mark tells."""
    if found := _HASHES.match(bare):
        return Heading(_plain(found[2]), len(found[1]), line)
    if not begins:
        return None
    if following and (found := _UNDERLINE.match(following)) and len(bare) <= 120 and "|" not in bare:
        return Heading(_plain(bare), 1 if found[1] == "=" else 2, line)
    if found := _BOLD.match(bare):
        return Heading(_plain(found[1]), 5, line)
    is_short = len(bare) <= 80 and not bare.endswith(_ENDS)
    numbered = _NUMBERED.match(bare)
    if is_short and numbered and bare[numbered.end()].isupper() and _stands_above(numbered[0], bare, following):
        level = 2 + numbered[0].strip(". ").count(".")
        return Heading(_plain(bare[numbered.end() :]), level, line)
    letters = [c for c in bare if c.isalpha()]
    if is_short and len(letters) > 3 and bare.upper() == bare and not _ITEM.match(bare) and not _ID.match(f"{bare} x"):
        return Heading(_plain(bare.rstrip(":")).capitalize(), 2, line)
    if (
        bare.endswith(":")
        and not MUST.search(bare)
        and len(bare.split()) <= 5
        and bare[0].isupper()
        and not _ITEM.match(bare)
    ):
        return Heading(_plain(bare.rstrip(":")), 6, line)
    return None


def _stands_above(number: str, bare: str, following: str) -> bool:
    """Whether a numbered line is a heading of what follows, and not an item of a list."""
    if bare.endswith(":"):
        return False
    is_deep = number.strip(". ").count(".") > 0
    if not following or is_deep or following.startswith(f"{number.strip('. ')}."):
        return True
    letters = [c for c in bare if c.isalpha()]
    is_capital = sum(map(str.isupper, letters)) == len(letters)
    return not _NUMBERED.match(following) and (
        is_capital or (len(bare.split()) <= 7 and (following[0].isupper() or _ITEM.match(following) is not None))
    )


def _plain(text: str) -> str:
    return squeeze(_MARKS.sub("", text)).strip(" :#").replace("`", "")


def _row(bare: str) -> list[str]:
    """The cells of a table's row that say something; a rule below the head has none."""
    if not (bare.startswith("|") and bare.endswith("|") and len(bare) > 2):
        return []
    return [cell.strip() for cell in bare.strip("|").split("|") if re.search(r"\w", cell)]

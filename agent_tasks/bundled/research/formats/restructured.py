"""reStructuredText and plain text into blocks: paragraphs, items and notes, without code and directives."""

import re

from agent_tasks.bundled.research.formats.blocks import Block, Document, Trail, squeeze

_ADORNMENT = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}\s*$")
_ITEM = re.compile(r"(?:[-*+•]|\(?(?:\d{1,3}|[a-zA-Z]|#)[.)])\s+")
_PARAMETER = re.compile(r"\*{0,2}\w+ \([\w\s.,|\[\]'\"~:`]+\):\s|[a-z][a-z0-9_]*: (?=[A-Z])")
_EXPLICIT = re.compile(r"\.\.(?:\s+|$)")
_DIRECTIVE = re.compile(r"\.\.\s+([\w:-]+)::\s*(.*)")
_FIELD = re.compile(r":[A-Za-z][\w \-]*:(?:\s|$)")
_TABLE = re.compile(r"\+[-=+]{3,}|[=-]{2,}(?:\s+[=-]{2,})+\s*$|\|.*\|\s*$")
_KEPT = {"note", "warning", "tip", "important", "caution", "danger", "attention", "hint", "admonition"}
_INLINE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"``(.+?)``"), r"`\1`"),
    (re.compile(r":(?:ref|doc|term|abbr|any|std:[a-z]+):`!?~?([^`<]+?)(?:\s*<[^`>]*>)?`"), r"\1"),
    (re.compile(r":[a-zA-Z][\w:.+-]*:`([^`<]+?)\s+<[^`>]*>`"), r"`\1`"),
    (re.compile(r":[a-zA-Z][\w:.+-]*:`~(?:[\w]+\.)*([^`]+)`"), r"`\1`"),
    (re.compile(r":[a-zA-Z][\w:.+-]*:`[!.]?([^`]+)`"), r"`\1`"),
    (re.compile(r"`([^`<]+?)\s+<[^`>]*>`_{1,2}"), r"\1"),
    (re.compile(r"`([^`]+)`_{1,2}"), r"\1"),
    (re.compile(r"(?<!`)`[!~](?=\w)"), "`"),
    (re.compile(r"\|[\w .-]+\|_{0,2}"), ""),
    (re.compile(r"\*\*(\S(?:.*?\S)?)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(\S(?:[^*]*?\S)?)\*(?![\w*])"), r"\1"),
    (re.compile(r"\b([A-Za-z][\w-]*[A-Za-z0-9])_(?=[\s.,;:!?)]|$)"), r"\1"),
    (re.compile(r"\\(?:\s|(?=[*`_|]))"), ""),
)


def read(text: str, name: str, first_line: int = 1, headings: tuple[str, ...] = (), plain: bool = False) -> Document:
    """Read text into blocks; `name` is the title if it has no heading; `headings` stand above its own.

    `plain` text has paragraphs, items and titles, but its words are taken as they stand.
    """
    lines = text.expandtabs(4).splitlines()
    trail = Trail(*headings)
    styles: list[str] = []
    blocks: list[Block] = []
    title: str | None = None
    term = ""
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        if not line:
            at += 1
        elif heading := _heading(lines, at):
            style, words, at = heading
            if style not in styles:
                styles.append(style)
            trail.enter(styles.index(style) + 1, words)
            title = title or words
        elif line.startswith(("```", "~~~")):
            at = _after_fence(lines, at, line[:3])
        elif _EXPLICIT.match(line):
            directive = _DIRECTIVE.match(line)
            if directive and directive[1] in _KEPT:
                if directive[2]:
                    blocks.append(Block(inline(directive[2]), trail.headings, first_line + at))
                at += 1
            else:
                at = _after_indented(lines, at + 1, _indent(lines[at]))
        else:
            start = at
            at = _paragraph_end(lines, at)
            paragraph = lines[start:at]
            words = squeeze(" ".join(paragraph)) if plain else inline(" ".join(paragraph))
            item = bool(_ITEM.match(line) or _PARAMETER.match(line))
            if _is_term(lines, start, at):
                term = words
                continue
            if words.endswith("::"):
                words = words[:-1]
                at = _after_indented(lines, at, _indent(lines[start]))
            if words and not _is_furniture(paragraph):
                if mark := _ITEM.match(words):
                    words = words[mark.end() :]
                above = (*trail.headings, term) if term else trail.headings
                blocks.append(Block(words, above, first_line + start, item=item))
            term = ""
    return Document(title or name, blocks)


def inline(text: str) -> str:
    """Return one line without roles, targets and emphasis; literals keep one backtick on each side."""
    text = squeeze(text)
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return squeeze(text)


def _heading(lines: list[str], at: int) -> tuple[str, str, int] | None:
    """Return (style, words, next line) if a section title begins at this line."""
    line = lines[at].rstrip()
    if _ADORNMENT.match(line):
        if at + 2 < len(lines) and lines[at + 2].rstrip() == line and lines[at + 1].strip():
            return line[0] * 2, inline(lines[at + 1]), at + 3
        return line[0], "", at + 1  # a transition, which has no words
    below = lines[at + 1].rstrip() if at + 1 < len(lines) else ""
    above = lines[at - 1].strip() if at else ""
    if _ADORNMENT.match(below) and not line.startswith(" ") and not above and len(below) >= min(len(line), 4):
        return below[0], inline(line), at + 2
    return None


def _paragraph_end(lines: list[str], at: int) -> int:
    end = at + 1
    while end < len(lines) and lines[end].strip():
        if _indent(lines[end]) > _indent(lines[at]) and _is_term(lines, at, end):
            break
        if (
            _PARAMETER.match(lines[end].strip())
            or _ITEM.match(lines[end].strip())
            or lines[end].strip().startswith(("```", ".. "))
        ):
            break
        end += 1
    return end


def _is_term(lines: list[str], at: int, end: int) -> bool:
    """Whether this line is a term, and its indented definition follows at once."""
    term = lines[at].strip()
    if end != at + 1 or end >= len(lines) or not lines[end].strip() or _indent(lines[end]) <= _indent(lines[at]):
        return False
    return len(term) <= 60 and ": " not in term and not term.endswith((".", ",", ";", "::")) and not _ITEM.match(term)


def _is_furniture(paragraph: list[str]) -> bool:
    """Whether a paragraph is no prose: a table, a field list, a doctest or a target."""
    first = paragraph[0].strip()
    return (
        first.startswith((">>>", "$ ", "@", "__ "))
        or _FIELD.match(first) is not None
        or any(_TABLE.match(line.strip()) for line in paragraph)
    )


def _after_fence(lines: list[str], at: int, fence: str) -> int:
    end = at + 1
    while end < len(lines) and not lines[end].strip().startswith(fence):
        end += 1
    return end + 1


def _after_indented(lines: list[str], at: int, indent: int) -> int:
    while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > indent):
        at += 1
    return at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())

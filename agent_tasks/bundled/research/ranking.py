"""Ranking passages for a question: BM25 over text and headings, coverage of the question, no duplicates."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from agent_tasks.bundled.extras import optional
from agent_tasks.bundled.research.passages import Passage
from agent_tasks.bundled.research.question import Concept, prose, stems
from agent_tasks.bundled.research.sentences import sentences

KIN = 0.6
"""The weight of a related word, compared with the question's own word."""
HEADING_REPEATS = 2
_CHANGES = re.compile(r"\b(?:change ?log|release (?:notes|information|history)|what['’]s new|changes|history)\b", re.I)
SIGNPOST = re.compile(
    r"\b(?:in|of) th(?:is|e (?:next|previous|following|last)) (?:chapter|section|tutorial|guide|page)\b"
    r"|\b(?:later|earlier) (?:in|on)\b.{0,20}\b(?:chapter|section|page)\b|"
    r"\bthis (?:chapter|section|page) (?:is|covers|describes|explains|will|contains|lists)\b|"
    r"\bwe(?:'|’)ll (?:look|see|come|cover|explore|discuss|learn|talk)\b",
    re.IGNORECASE,
)

_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")

LEAST_OF_BEST = 0.3
LEAST_COVERAGE = 0.36
LEAST_OF_BEST_COVERAGE = 0.6
NEAR_DUPLICATE = 0.6
LENGTH = 0.5
"""BM25's b, below its usual 0.75: passages are of similar length, and the shortest say the least."""


class Corpus:
    """The frequency of each concept among all passages read so far, and so how much finding it says."""

    def __init__(self, scanned: int = 0, frequency: dict[str, int] | None = None) -> None:
        self.scanned = scanned
        self.frequency = Counter(frequency or {})

    def add(self, scanned: int, frequency: dict[str, int]) -> None:
        self.scanned += scanned
        self.frequency.update(frequency)

    def weight(self, concept: Concept) -> float:
        return concept.weight * math.log(2 + self.scanned / (1 + self.frequency[concept.stem]))


def frequencies(bags: Iterable[Sequence[str]], concepts: Sequence[Concept]) -> dict[str, int]:
    """Return in how many passages each concept occurs, as itself or as its kin."""
    present = [set(bag) for bag in bags]
    return {c.stem: sum(not (c.forms | c.kin).isdisjoint(bag) for bag in present) for c in concepts}


def coverage(found: Iterable[str], concepts: Sequence[Concept], corpus: Corpus) -> float:
    """Return the share of the question, 0 to 1, that these stems cover; related words count KIN."""
    present = set(found)
    total = sum(map(corpus.weight, concepts)) or 1.0
    return sum(_hit(present, concept) * corpus.weight(concept) for concept in concepts) / total


def _hit(present: set[str], concept: Concept) -> float:
    return 1.0 if concept.forms & present else KIN if concept.kin & present else 0.0


def rank(passages: Sequence[Passage], concepts: Sequence[Concept], corpus: Corpus) -> list[Passage]:
    """Return the passages that cover any of the question, best first, with their scores set."""
    bags = [stems(" ".join([p.title, *p.headings[-2:] * HEADING_REPEATS, p.text])) for p in passages]
    if not any(bags):
        return []
    lexical = _bm25(bags, concepts, corpus)
    ranked: list[Passage] = []
    for passage, bag, score in zip(passages, bags, lexical, strict=True):
        covered = coverage(bag, concepts, corpus)
        if score <= 0 or covered <= 0:
            continue
        closest = max(coverage(stems(prose(s)), concepts, corpus) for s in sentences(passage.text))
        # Words of the question together in one sentence answer it; scattered, they rarely do.
        value = score * (0.05 + covered**2) * (0.3 + closest) * _substance(passage)
        ranked.append(passage.model_copy(update={"score": round(value, 4)}))
    return sorted(ranked, key=lambda p: (-p.score, p.path, p.line or p.page or 0))


def _substance(passage: Passage) -> float:
    """Return a factor below 1 for what says little: few words, an enumeration, a table row, a signpost, a change."""
    text = passage.text
    size = len(text.split())
    value = min(1.0, (size / 25) ** 0.5)
    if text.count(",") > 0.22 * size:
        value *= 0.5
    if " | " in text:
        value *= 0.8
    if SIGNPOST.search(text):
        value *= 0.35
    if text.count("\n- ") >= 4 and not _SENTENCE_END.search(text):
        value *= 0.6
    if _CHANGES.search(" ".join([passage.path, *passage.headings])):
        value *= 0.4
    return value


def _bm25(bags: list[list[str]], concepts: Sequence[Concept], corpus: Corpus) -> list[float]:
    bm25s: Any = optional("bm25s", "research")
    index = bm25s.BM25(b=LENGTH)
    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(stem, len(vocabulary)) for stem in bag] for bag in bags]
    index.index((ids, vocabulary), show_progress=False)
    totals = [0.0] * len(bags)
    for concept in concepts:
        best = [0.0] * len(bags)
        for stem in sorted((concept.forms | concept.kin) & vocabulary.keys()):
            share = 1.0 if stem in concept.forms else KIN
            best = [max(a, share * float(b)) for a, b in zip(best, index.get_scores([stem]), strict=True)]
        weight = corpus.weight(concept)
        totals = [total + weight * score for total, score in zip(totals, best, strict=True)]
    return totals


def select(ranked: Sequence[Passage], limit: int, concepts: Sequence[Concept], corpus: Corpus) -> list[Passage]:
    """Return the best passages: relevant enough, none near another, and no source with more than its share."""
    chosen: list[Passage] = []
    prints: list[set[tuple[str, ...]]] = []
    sources: Counter[str] = Counter()
    share = max(3, limit // 3) if len({p.path for p in ranked}) > 3 else limit
    bags = [stems(" ".join([*passage.headings[-2:], passage.text])) for passage in ranked]
    covered = [coverage(bag, concepts, corpus) for bag in bags]
    least = max(LEAST_COVERAGE, LEAST_OF_BEST_COVERAGE * max(covered, default=0.0))
    for passage, share_of_question in zip(ranked, covered, strict=True):
        if len(chosen) == limit or passage.score < LEAST_OF_BEST * ranked[0].score:
            break
        if sources[passage.path] >= share or share_of_question < least:
            continue
        mark = fingerprint(passage.text)
        if any(near(mark, other) for other in prints):
            continue
        chosen.append(passage)
        prints.append(mark)
        sources[passage.path] += 1
    return chosen


def fingerprint(text: str) -> set[tuple[str, ...]]:
    bag = stems(text)
    return {tuple(bag[at : at + 3]) for at in range(max(len(bag) - 2, 1))}


def near(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> bool:
    """Whether the shorter text is, for the most part, in the longer one."""
    return len(one & other) >= NEAR_DUPLICATE * max(min(len(one), len(other)), 1)

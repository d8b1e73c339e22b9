"""Analysing the chosen passages together: key sentences, themes, agreements between sources, and gaps."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel

from agent_tasks.bundled.research.passages import Passage
from agent_tasks.bundled.research.question import HOW_MUCH, Concept, prose, stem_words, stems, words
from agent_tasks.bundled.research.ranking import SIGNPOST, Corpus, coverage, fingerprint, near
from agent_tasks.bundled.research.sentences import sentences

ANSWER_SENTENCES = 4
SAME_THEME = 0.16
MOST_THEMES = 6
ALIKE = 0.3
COPIED = 0.9
"""The likeness from which two sentences count as one sentence in two places, which confirms nothing."""
QUESTION_TERMS = 0.3
"""The weight of the question's own words between passages: all passages have them, so they tell none apart."""

_DANGLING = re.compile(
    r"(?:this|that|these|those|it|they|he|she|but|and|or|so|however|also|thus|then|otherwise|instead|moreover|"
    r"therefore|additionally|furthermore|similarly|note|see|for example|here|which)\b",
    re.IGNORECASE,
)
_GENERIC_HEADING = re.compile(
    r"(?:overview|introduction|summary|notes?|description|about|features?|arguments|keyword arguments|"
    r"attributes|parameters|returns|example|usage|details|background|conclusion|abstract)$",
    re.IGNORECASE,
)


class Quote(BaseModel):
    """A sentence, verbatim, and the number of the passage it is from."""

    text: str
    passage: int


class Theme(BaseModel):
    title: str
    passages: list[int]


class Agreement(BaseModel):
    """Passages from different sources that say similar things; `terms` are the words they share."""

    terms: list[str]
    quotes: list[Quote]


class Findings(BaseModel):
    """The result of the analysis; passages are numbered from 1, in the order of `passages`."""

    passages: list[Passage] = []
    answer: list[Quote] = []
    themes: list[Theme] = []
    agreements: list[Agreement] = []
    gaps: list[str] = []

    @classmethod
    def unsorted(cls, passages: list[Passage]) -> Self:
        """Return the passages alone, as one theme, for when nobody could analyse them."""
        everything = Theme(title="Passages", passages=list(range(1, len(passages) + 1)))
        return cls(passages=passages, themes=[everything] if passages else [])


def analyse(question: str, chosen: Sequence[Passage], concepts: Sequence[Concept], corpus: Corpus) -> Findings:
    """Analyse the passages to quote: `chosen`, best first."""
    vectors = _vectors(chosen, concepts)
    clusters = _themes(chosen, vectors)
    order = [at for _, cluster in clusters for at in cluster]
    passages = [chosen[at] for at in order]
    themes: list[Theme] = []
    for title, cluster in clusters:
        first = sum(len(theme.passages) for theme in themes) + 1
        themes.append(Theme(title=title, passages=list(range(first, first + len(cluster)))))
    return Findings(
        passages=passages,
        answer=_answer(passages, concepts, corpus),
        themes=themes,
        agreements=_agreements(passages, concepts),
        gaps=_gaps(question, passages, concepts, corpus),
    )


def _vectors(passages: Sequence[Passage], concepts: Sequence[Concept]) -> list[dict[str, float]]:
    asked = {stem for concept in concepts for stem in concept.forms | concept.kin}
    bags = [Counter(stems(" ".join([*passage.headings[-1:], passage.text]))) for passage in passages]
    spread = Counter(stem for bag in bags for stem in bag)
    vectors: list[dict[str, float]] = []
    for bag in bags:
        vector = {
            stem: (1 + math.log(times))
            * math.log(1 + len(bags) / spread[stem])
            * (QUESTION_TERMS if stem in asked else 1)
            for stem, times in bag.items()
        }
        norm = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        vectors.append({stem: value / norm for stem, value in vector.items()})
    return vectors


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    return sum(value * other.get(stem, 0.0) for stem, value in one.items())


def _themes(passages: Sequence[Passage], vectors: list[dict[str, float]]) -> list[tuple[str, list[int]]]:
    """Group passages into themes: each joins the first it is like, or one of its section; small leftovers come last."""
    clusters: list[list[int]] = []
    for at, passage in enumerate(passages):
        section = (passage.path, passage.headings)

        def likeness(cluster: list[int], at: int = at, section: tuple[str, list[str]] = section) -> float:
            same = any((passages[other].path, passages[other].headings) == section for other in cluster)
            return 1.0 if same else max(_cosine(vectors[at], vectors[other]) for other in cluster)

        best = max(clusters, key=likeness, default=None)
        if best is not None and likeness(best) >= SAME_THEME:
            best.append(at)
        else:
            clusters.append([at])
    named: dict[str, list[int]] = {}
    for at, cluster in enumerate(clusters):
        is_shown = at < MOST_THEMES - 1 or len(clusters) <= MOST_THEMES
        title = _title(passages[cluster[0]]) if is_shown else "Further passages"
        named.setdefault(title, []).extend(cluster)
    return list(named.items())


def _title(passage: Passage) -> str:
    for heading in reversed(passage.headings):
        plain = heading.strip(" #:¶").replace("`", "")
        if plain and not _GENERIC_HEADING.match(plain) and len(plain) <= 90:
            return plain[0].upper() + plain[1:] if " " in plain else f"`{plain}`" if "_" in plain else plain
    return passage.title


def _answer(passages: Sequence[Passage], concepts: Sequence[Concept], corpus: Corpus) -> list[Quote]:
    best = max((passage.score for passage in passages), default=0.0) or 1.0
    scored: list[tuple[float, int, str]] = []
    for number, passage in enumerate(passages, 1):
        context = stems(" ".join(passage.headings[-1:]))
        for place, sentence in enumerate(sentences(passage.text)):
            size = len(sentence.split())
            if not 6 <= size <= 60 or not _says_something(sentence):
                continue
            own = stems(prose(sentence))
            value = 0.75 * coverage(own, concepts, corpus) + 0.25 * coverage([*own, *context], concepts, corpus)
            value *= 0.5 + 0.5 * passage.score / best
            value *= (0.6 if _DANGLING.match(sentence) else 1.0) * (0.7 if size < 9 else 1.0) * 0.97**place
            scored.append((value * (1.0 if sentence.endswith((".", "!", "”", ")", "。")) else 0.7), number, sentence))
    scored.sort(key=lambda entry: (-entry[0], entry[1]))
    answer: list[Quote] = []
    per_passage: Counter[int] = Counter()
    for value, number, sentence in scored:
        if len(answer) == ANSWER_SENTENCES or value < 0.5 * scored[0][0]:
            break
        mark = fingerprint(sentence)
        if per_passage[number] < 2 and not any(near(mark, fingerprint(quote.text)) for quote in answer):
            answer.append(Quote(text=sentence, passage=number))
            per_passage[number] += 1
    return answer


def _says_something(sentence: str) -> bool:
    return not (sentence.endswith((":", "?")) or " | " in sentence or SIGNPOST.search(sentence))


def _agreements(passages: Sequence[Passage], concepts: Sequence[Concept]) -> list[Agreement]:
    """Return the pairs of most similar sentences from different sources, using each passage at most once."""
    asked = {stem for concept in concepts for stem in concept.forms}
    said: list[tuple[int, str, set[str]]] = []
    for number, passage in enumerate(passages, 1):
        for sentence in sentences(passage.text):
            bag = set(stems(sentence))
            if len(bag) >= 5 and len(sentence) <= 300 and _says_something(sentence):
                said.append((number, sentence, bag))
    pairs: list[tuple[float, int, int]] = []
    for i, (one, _, bag) in enumerate(said):
        for j, (other, _, rest) in enumerate(said[i + 1 :], i + 1):
            shared = bag & rest
            alike = len(shared) / min(len(bag), len(rest))
            if (
                passages[one - 1].path != passages[other - 1].path
                and len(shared) >= 3
                and len(shared - asked) >= 2
                and ALIKE <= alike < COPIED
            ):
                pairs.append((alike, i, j))
    agreements: list[Agreement] = []
    used: set[int] = set()
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if len(agreements) < 3 and used.isdisjoint((said[i][0], said[j][0])):
            shared = said[i][2] & said[j][2]
            plain = words(said[i][1])
            terms = {stem: word for word, stem in zip(plain, stem_words(plain), strict=True) if stem in shared}
            quotes = [Quote(text=said[at][1], passage=said[at][0]) for at in (i, j)]
            agreements.append(Agreement(terms=list(terms.values())[:6], quotes=quotes))
            used.update((said[i][0], said[j][0]))
    return agreements


def _gaps(question: str, passages: Sequence[Passage], concepts: Sequence[Concept], corpus: Corpus) -> list[str]:
    bags = [set(stems(" ".join([*passage.headings[-2:], passage.text]))) for passage in passages]
    plain = words(" ".join(passage.text for passage in passages))
    stemmed = stem_words(plain)
    gaps: list[str] = []
    for concept in concepts:
        if concept.weight < 1.0 or any(concept.forms & bag for bag in bags):
            continue
        counted = Counter(word for word, stem in zip(plain, stemmed, strict=True) if stem in concept.kin)
        if counted:
            others = ", ".join(f"“{word}”" for word, _ in counted.most_common(4))
            gaps.append(f"No quoted passage uses the word “{concept.word}”; they speak of {others} instead.")
        else:
            gaps.append(f"No quoted passage speaks of “{concept.word}”.")
    if passages and max(coverage(bag, concepts, corpus) for bag in bags) < 0.75:
        gaps.append("No single passage speaks of everything the question asks; the answer is pieced together.")
    if passages and len({passage.path for passage in passages}) == 1:
        gaps.append("Everything quoted comes from one source; nothing else read confirms it or speaks against it.")
    if HOW_MUCH.search(question) and not any(re.search(r"\d", passage.text) for passage in passages):
        gaps.append("The question asks for a number, and no quoted passage has one.")
    return gaps

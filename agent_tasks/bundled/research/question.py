"""The question as concepts: each meaningful word, its stem and its kin."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent_tasks.bundled.extras import optional
from agent_tasks.bundled.research.vocabulary import EMPTY, KIN, VAGUE

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_IDENTIFIER = re.compile(r"\b\w*[^\W_]_\w+")
VAGUE_WEIGHT = 0.3
_ROOT = 5
"""The number of shared first letters from which kin count as forms of one word."""
HOW_MUCH = re.compile(r"\bhow (?:many|much|long|often|far|fast|old)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Concept:
    """A word of the question: `forms` are its own stems ("recover", "recovery"), `kin` stand in for it at a discount.

    `weight` is low for words that say little.
    """

    word: str
    stem: str
    forms: frozenset[str]
    kin: frozenset[str]
    weight: float = 1.0


def words(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case; an identifier counts as its parts."""
    return [word for word in _WORD.findall(text.lower()) if word not in EMPTY and len(word) > 1]


def prose(text: str) -> str:
    """Return the text without identifiers: their parts are words that no sentence says."""
    return _IDENTIFIER.sub(" ", text)


def stems(text: str) -> list[str]:
    """Return the stems of `words`. The stemmer is made anew each time, since PyStemmer's are not thread-safe."""
    return stem_words(words(text))


def stem_words(plain: Sequence[str]) -> list[str]:
    return list(optional("Stemmer", "research").Stemmer("english", 0).stemWords(list(plain)))


def concepts(question: str) -> tuple[Concept, ...]:
    """Return the distinct concepts of the question, in order; every word if all of them are empty."""
    question = HOW_MUCH.sub(" ", question) or question
    plain = words(question) or _WORD.findall(question.lower())
    all_kin = [stem_words(related) for related in KIN]
    found: dict[str, Concept] = {}
    for word, stem in zip(plain, stem_words(plain), strict=True):
        related = {kin for related in all_kin if stem in related for kin in related} | {stem}
        long = len(stem) >= _ROOT
        forms = frozenset(kin for kin in related if kin == stem or (long and kin.startswith(stem[:_ROOT])))
        weight = VAGUE_WEIGHT if word in VAGUE else 1.0
        found.setdefault(stem, Concept(word, stem, forms, frozenset(related) - forms, weight))
    # What the question itself names is more than kin of its other words.
    return tuple(replace(concept, kin=concept.kin - found.keys()) for concept in found.values())

"""Cutting documents into passages and sentences."""

import pytest

from agent_tasks.bundled.research.formats.blocks import Block, Document
from agent_tasks.bundled.research.passages import LONGEST, is_prose, split
from agent_tasks.bundled.research.sentences import sentences


def test_sentences_end_at_sentences_and_not_at_abbreviations():
    text = "Use a broker, e.g. Redis. Version 5.7 of Mr. Smith's code is fine! Is it? `a.b. C` is code."
    assert sentences(text) == [
        "Use a broker, e.g. Redis.",
        "Version 5.7 of Mr. Smith's code is fine!",
        "Is it?",
        "`a.b. C` is code.",
    ]


def test_sentences_are_verbatim_slices():
    text = "One thing is said (here). “Another is quoted.” Then it ends…  And goes on."
    assert all(sentence in text for sentence in sentences(text))
    assert "".join(sentences(text)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    "junk",
    [
        "Permission is hereby granted, free of charge, to any person obtaining a copy of this software",
        "Introduction . . . . . . . . . . . . . 3",
        "def recover(worker): return {k: v for k, v in worker.items() if v != None}",
        "Fix recovery by @ana in https://x.example/pull/12, fix death by @bob in https://x.example/pull/13",
        "https://example.com/a/very/long/address/that/says/nothing https://example.com/another",
        "Skip to main content Home Products Pricing About us Contact",
        "Home | Docs",
        "asn1_get_length_der (const unsigned char * der, int der_len, int * len) asn1_get_tag_der const",
    ],
)
def test_junk_is_no_prose(junk: str):
    assert not is_prose(junk)


@pytest.mark.parametrize(
    "prose",
    [
        "The lease of a dead worker runs out after fifteen seconds, and the sweep requeues its step.",
        "Set `AGENT_TASKS_LEASE_SECONDS` to change how long a lease lasts (15 by default).",
        "Der Lease eines toten Prozesses läuft nach fünfzehn Sekunden ab und die Aufgabe geht weiter.",
    ],
)
def test_prose_is_prose(prose: str):
    assert is_prose(prose)


def test_no_passage_is_too_long_or_cut_within_a_word():
    text = " ".join(f"Sentence number {n} says something that is worth the reading of it." for n in range(60))
    passages = split(Document("t", [Block(text, ("H",), 1)]))
    assert len(passages) > 3
    assert all(len(passage.text) <= LONGEST for passage in passages)
    assert all(passage.text.endswith(".") and passage.text in text for passage in passages)


def test_a_sentence_without_end_is_cut_between_words():
    text = "and so it goes on with the words " * 60
    words = set(text.split())
    for passage in split(Document("t", [Block(text.strip(), (), 1)])):
        assert len(passage.text) <= LONGEST
        assert set(passage.text.split()) <= words


def test_no_passage_goes_across_headings():
    blocks = [
        Block("What is said under the first heading stays under the first heading.", ("One",), 1),
        Block("What is said under the second heading stays under the second heading.", ("Two",), 5),
    ]
    assert [passage.headings for passage in split(Document("t", blocks))] == [["One"], ["Two"]]


def test_short_items_stay_with_the_sentence_that_leads_to_them():
    blocks = [
        Block("There are three things that a worker must never do:", (), 1),
        Block("forget its lease", (), 2, item=True),
        Block("run a committed step again", (), 3, item=True),
    ]
    assert [passage.text for passage in split(Document("t", blocks))] == [
        "There are three things that a worker must never do:\n- forget its lease\n- run a committed step again"
    ]


def test_a_lead_in_to_code_that_is_left_out_is_left_out_too():
    blocks = [
        Block("A worker gives its lease back when it stops in good order.", (), 1),
        Block("Here is how to stop it in good order:", (), 3),
    ]
    assert [passage.text for passage in split(Document("t", blocks))] == [blocks[0].text]

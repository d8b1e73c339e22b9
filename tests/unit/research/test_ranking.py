"""Ranking: the right passage first, and none twice."""

from collections.abc import Sequence

from agent_tasks.bundled.research.passages import Passage
from agent_tasks.bundled.research.question import concepts, stems
from agent_tasks.bundled.research.ranking import Corpus, frequencies, rank, select

ANSWER = "When a worker dies, its lease runs out and another worker recovers the task from its checkpoint."
KIN = "A crashed process is no loss: the sweep requeues what it had begun, and nothing is run twice at all."
OTHER = "Tomatoes want six hours of sun a day and water at the root, best given early in the morning."
PARTLY = "Each worker has eight slots, which was enough for all the loads that we have ever measured so far."
QUESTION = "How does the system recover when a worker dies?"


def passages(*texts: str) -> list[Passage]:
    return [Passage(text=text, path=f"{n}.md", title=f"{n}", line=1) for n, text in enumerate(texts)]


def ranked(question: str, given: Sequence[Passage]) -> list[Passage]:
    asked = concepts(question)
    corpus = Corpus(len(given), frequencies([stems(passage.text) for passage in given], asked))
    return rank(given, asked, corpus)


def chosen(question: str, given: Sequence[Passage], limit: int = 12) -> list[str]:
    asked = concepts(question)
    corpus = Corpus(len(given), frequencies([stems(passage.text) for passage in given], asked))
    return [passage.text for passage in select(rank(given, asked, corpus), limit, asked, corpus)]


def test_the_passage_that_answers_comes_first_and_what_has_nothing_to_do_with_it_is_gone():
    texts = [passage.text for passage in ranked(QUESTION, passages(OTHER, PARTLY, KIN, ANSWER))]
    assert texts[0] == ANSWER
    assert OTHER not in texts


def test_related_words_answer_for_those_of_the_question():
    assert ranked(QUESTION, passages(OTHER, PARTLY, KIN))[0].text == KIN


def test_inflected_words_are_the_same_word():
    assert ranked("recovering dying workers", passages(OTHER, ANSWER))[0].text == ANSWER


def test_a_heading_counts():
    one, two = passages(PARTLY, PARTLY.replace("eight", "nine"))
    two.headings = ["When a worker dies", "Recovery"]
    assert ranked(QUESTION, [one, two])[0].path == two.path


def test_near_duplicates_are_chosen_once():
    assert len(chosen(QUESTION, passages(ANSWER, ANSWER.replace("another", "some other"), OTHER))) == 1


def test_one_source_does_not_crowd_out_the_others():
    many = [
        Passage(text=f"{ANSWER} Rule {word} holds for {word} cases in the {word} shop.", path="many.md")
        for word in ("alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "lambda")
    ]
    others = passages(KIN, "A worker that dies is recovered from.", "If workers die, recover them by hand.")
    paths = [
        passage.path
        for passage in select(rank([*many, *others], concepts(QUESTION), Corpus()), 6, concepts(QUESTION), Corpus())
    ]
    assert paths.count("many.md") <= 3


def test_a_question_of_empty_words_still_has_concepts():
    assert [concept.word for concept in concepts("How does it work?")] == ["how", "does", "it", "work"]


def test_nothing_to_look_for_gives_no_concepts():
    assert concepts("?!") == ()


def test_nothing_relevant_gives_nothing():
    assert chosen(QUESTION, passages(OTHER)) == []
    assert chosen(QUESTION, []) == []

"""The state of a search so far, small enough to be a checkpoint after every batch."""

from typing import Any

from pydantic import BaseModel, Field

from agent_tasks.bundled.research.documents import Skipped
from agent_tasks.bundled.research.passages import Passage
from agent_tasks.bundled.research.question import concepts
from agent_tasks.bundled.research.ranking import Corpus, rank, select
from agent_tasks.bundled.research.reading import Reading

POOL_PER_PASSAGE = 4
"""How many candidates are carried along for each passage that may be quoted in the end."""
MOST_LISTED = 50


class Search(BaseModel):
    """The state of a search: of `documents` under `root`, `seen` are dealt with; `pool` holds their best passages."""

    question: str
    root: str
    documents: int
    max_passages: int
    seen: int = 0
    scanned: int = 0
    frequency: dict[str, int] = {}
    pool: list[Passage] = []
    unread: list[Skipped] = []
    unread_count: int = Field(default=0, description="how many were not read, listed or not")
    left_out: int = Field(default=0, description="how many of those never were among `documents`")

    @property
    def read(self) -> int:
        return self.seen - (self.unread_count - self.left_out)

    @property
    def corpus(self) -> Corpus:
        return Corpus(self.scanned, self.frequency)

    def note(self, name: str, reading: Reading) -> None:
        """Take in what was read of one document."""
        self.seen += 1
        if reading["unread"] is not None:
            self.leave_out({"path": name, "reason": reading["unread"]})
            return
        self._count(reading["scanned"], reading["frequency"])
        self.pool += [Passage.model_validate(passage) for passage in reading["passages"]]

    def join(self, part: "Search") -> None:
        """Take in what another search found among some of the documents."""
        self.seen += part.seen
        self._count(part.scanned, part.frequency)
        self.pool += part.pool
        self.unread = (self.unread + part.unread)[:MOST_LISTED]
        self.unread_count += part.unread_count

    def _count(self, scanned: int, frequency: dict[str, int]) -> None:
        corpus = self.corpus
        corpus.add(scanned, frequency)
        self.scanned, self.frequency = corpus.scanned, dict(corpus.frequency)

    def leave_out(self, skipped: Skipped) -> None:
        self.unread_count += 1
        if len(self.unread) < MOST_LISTED:
            self.unread.append(skipped)

    def shrink(self) -> None:
        """Keep the best of the pool, so that the checkpoint does not grow with what was read."""
        self.pool = rank(self.pool, concepts(self.question), self.corpus)[: POOL_PER_PASSAGE * self.max_passages]

    def chosen(self) -> list[Passage]:
        """Return the passages to quote as things stand, best first."""
        asked = concepts(self.question)
        return select(rank(self.pool, asked, self.corpus), self.max_passages, asked, self.corpus)

    def state(self) -> dict[str, Any]:
        """Return the search as plain data, to be passed to the next step."""
        return self.model_dump(mode="json")

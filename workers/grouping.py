"""Grouping: what many threads ask for at the same moment is done at once, by the one of them that came first."""

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar, cast

from agent_tasks.database import DATABASE_AWAY

A = TypeVar("A")
T = TypeVar("T")
MOST = 100
"""So many are done at once, at most."""


class _Asked(Generic[A, T]):
    __slots__ = ("answer", "error", "is_answered", "turn", "what")

    def __init__(self, what: A) -> None:
        self.what = what
        self.turn = threading.Lock()  # released when there is an answer, or when it is this one's turn to lead
        self.turn.acquire()
        self.is_answered = False
        self.answer: T | None = None
        self.error: Exception | None = None


class Group(Generic[A, T]):
    """Answers many requests with one `run`, as a database commits many transactions with one flush.

    Who comes first leads: it runs its own request at once, and meanwhile others queue; the first of those leads the
    next group. So nobody waits for company, and a thread alone pays nothing. `key`: no two requests of the same key
    are in one group. `run` returns the answers in order, errors among them; where it raises, each is run alone, so
    that one request does no harm to others.
    """

    def __init__(
        self, run: Callable[[Sequence[A]], Sequence[T | Exception]], key: Callable[[A], Hashable] | None = None
    ) -> None:
        self._run = run
        self._key = key
        self._lock = threading.Lock()
        self._waiting: list[_Asked[A, T]] = []
        self._led = False

    def ask(self, what: A) -> T:
        """The answer. Raises what `run` returned or raised for it."""
        mine = _Asked[A, T](what)
        with self._lock:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.turn.acquire()
        if not mine.is_answered:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return cast(T, mine.answer)

    def _lead(self) -> None:
        with self._lock:
            group = self._take()
        try:
            self._answer(group)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
            for asked in group:
                asked.turn.release()
            if following is not None:
                following.turn.release()

    def _take(self) -> list[_Asked[A, T]]:
        """The first in line, who leads, and all that may go with it."""
        if self._key is None:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            return group
        taken: dict[Hashable, _Asked[A, T]] = {}
        left: list[_Asked[A, T]] = []
        for asked in self._waiting:
            key = self._key(asked.what)
            if key in taken or len(taken) == MOST:
                left.append(asked)
            else:
                taken[key] = asked
        self._waiting = left
        return list(taken.values())

    def _answer(self, group: list[_Asked[A, T]]) -> None:
        for asked in group:
            asked.error = RuntimeError("the thread that led this group was ended")
            asked.is_answered = True
        try:
            answers = self._run([asked.what for asked in group])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, DATABASE_AWAY):
                for asked in group:
                    self._answer([asked])
                return
            answers = [error] * len(group)
        for asked, answer in zip(group, answers, strict=True):
            asked.error = answer if isinstance(answer, Exception) else None
            asked.answer = None if isinstance(answer, Exception) else answer

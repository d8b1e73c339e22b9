"""A combiner: what many threads ask for at the same moment is done at once, by the one of them that came first."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar, cast

from agent_tasks.store.errors import Contention, ServerAway

A = TypeVar("A")
T = TypeVar("T")
MOST = 100
"""How many requests one batch holds, at most."""


class _Asked(Generic[A, T]):
    __slots__ = ("answer", "error", "is_answered", "leads", "turn", "what")

    def __init__(self, what: A) -> None:
        self.what = what
        self.turn = threading.Lock()  # released when there is an answer, or when it is this one's turn to lead
        self.turn.acquire()
        self.leads = False
        self.is_answered = False
        self.answer: T | None = None
        self.error: Exception | None = None


class Combiner(Generic[A, T]):
    """Answers many requests with one `run`, as a database commits many transactions with one flush.

    The thread that comes first leads: it runs its own request at once, and meanwhile others queue; the first of those
    leads the next batch. So nobody waits for company, and a thread alone pays nothing. With a `moment`, in seconds, the
    leader of a batch waits for so long where the batch before was of more than one. No two requests of the same `key`
    are in one batch. `run` returns the answers in order, errors among them.
    It may raise only where it has committed nothing: then each request is run alone, so that one does no harm to the
    others. Where Postgres is away, all of them raise ServerAway at once.
    """

    def __init__(
        self,
        run: Callable[[Sequence[A]], Sequence[T | Exception]],
        key: Callable[[A], Hashable] | None = None,
        *,
        moment: float = 0.0,
    ) -> None:
        self._run = run
        self._key = key
        self._moment = moment
        self._had_company = False
        self._lock = threading.Lock()
        self._waiting: list[_Asked[A, T]] = []
        self._led = False

    def ask(self, what: A) -> T:
        """Return the answer to `what`. Raises what `run` returned or raised for it."""
        mine = _Asked[A, T](what)
        with self._lock:
            self._waiting.append(mine)
            if not self._led:
                self._pass_on()
        try:
            mine.turn.acquire()
            if not mine.is_answered:
                self._lead()
        except BaseException:  # a signal's, in a process whose steps run in its main thread
            self._leave(mine)
            raise
        if mine.error is not None:
            raise mine.error
        return cast(T, mine.answer)

    def _lead(self) -> None:
        batch: list[_Asked[A, T]] = []
        try:
            if self._moment and self._had_company:
                time.sleep(self._moment)
            with self._lock:
                batch = self._take()
            self._had_company = len(batch) > 1
            self._answer(batch)
        finally:
            with self._lock:
                self._pass_on()
            for asked in batch:
                asked.turn.release()

    def _pass_on(self) -> None:
        """Have the first in line lead next."""
        self._led = bool(self._waiting)
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].turn.release()

    def _leave(self, mine: "_Asked[A, T]") -> None:
        """Take a request out of the line; the next one leads where it was to and did not."""
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                if mine.leads:
                    self._pass_on()

    def _take(self) -> list[_Asked[A, T]]:
        """Take the first in line, which leads, and all that may go with it."""
        taken: dict[Hashable, _Asked[A, T]] = {}
        left: list[_Asked[A, T]] = []
        for asked in self._waiting:
            key = self._key(asked.what) if self._key else id(asked)
            if key in taken or len(taken) == MOST:
                left.append(asked)
            else:
                taken[key] = asked
        self._waiting = left
        return list(taken.values())

    def _answer(self, batch: list[_Asked[A, T]]) -> None:
        for asked in batch:
            asked.error = Contention("the thread that led this batch was ended")
            asked.is_answered = True
        try:
            answers = self._run([asked.what for asked in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, ServerAway):
                for asked in batch:
                    self._answer([asked])
                return
            answers = [error] * len(batch)
        for asked, answer in zip(batch, answers, strict=True):
            asked.error = answer if isinstance(answer, Exception) else None
            asked.answer = None if isinstance(answer, Exception) else answer

"""Following a task of a test: whoever waits for it has it run, and learns at once that it goes on no more by itself."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from agent_tasks.doorbell.callbacks import Callback, Callbacks


class Followed(Callbacks):
    """Word of changes in a process in which nothing changes but what the thread that waits runs itself."""

    hears = False

    def __init__(self, run: Callable[[str], None]) -> None:
        """`run` is called with the channel that somebody is about to listen on."""
        super().__init__()
        self._run = run

    @contextmanager
    def listening(self, channel: str, callback: Callback) -> Generator[None]:
        self._run(channel)
        yield

    def close(self) -> None:
        pass

    def _duties(self) -> tuple[Callable[[], None], ...]:
        return ()

    def _subscribe(self, channel: str) -> None:
        pass

    def _unsubscribe(self, channel: str) -> None:
        pass

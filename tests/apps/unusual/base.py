import os
from typing import Any

from celery import Task


def note(text: str) -> None:
    with open(os.path.join(os.environ["TEAM_FOLDER"], "base"), "a") as file:
        file.write(f"{text}\n")


class Base(Task):
    """Sees each of their tasks, and whatever takes it for its base."""

    abstract = True
    autoretry_for = (ConnectionError,)
    retry_backoff = False
    default_retry_delay = 0
    throws = (LookupError,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        note(f"called {self.name}")
        return super().__call__(*args, **kwargs)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        note(f"before {self.name}")

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        note(f"success {self.name}")

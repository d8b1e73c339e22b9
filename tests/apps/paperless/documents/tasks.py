import os
from dataclasses import dataclass
from pathlib import Path

from celery import shared_task


@dataclass
class ConsumableDocument:
    """Something that only pickle carries."""

    path: Path


@shared_task(bind=True)
def consume_file(self, document: ConsumableDocument) -> str:
    target = Path(os.environ["TEAM_FOLDER"]) / f"{document.path.name}.archived"
    target.write_text(str(os.getpid()))
    return document.path.name


@shared_task
def empty_trash() -> None: ...

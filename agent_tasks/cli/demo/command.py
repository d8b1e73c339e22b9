"""What the demo is asked for, checked before anything starts."""

import os
from pathlib import Path
from typing import Annotated

import typer

from agent_tasks.errors import InvalidInput

_EXTRAS = "The demo needs the research agent's libraries: pip install 'agent-tasks[dev]'."


def demo(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, help="Documents or folders: text, Markdown, HTML, PDF. Default: samples."),
    ] = None,
    question: Annotated[str | None, typer.Option(help="What to answer from them.")] = None,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The report's file. Default: report.md, or a free name.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep data and logs here. Default: nothing is kept.")
    ] = None,
) -> None:
    """Answer a question from documents, and kill a worker on the way."""
    from importlib import import_module
    from importlib.util import find_spec

    from agent_tasks.cli.demo.environment import only_for_models
    from agent_tasks.cli.own_packages import load_own_packages

    target = _writable(output or _free_name(Path("report.md")))
    if paths and not question:
        raise InvalidInput("Say what to answer from these documents: --question '…'", field="question")
    if find_spec("bm25s") is None:
        raise InvalidInput(_EXTRAS, field="paths")
    with only_for_models():
        load_own_packages()
        research = import_module("workers.agents.research")
        documents: list[Path] = paths or research.sample_documents()
        asked: str = question or research.SAMPLE_QUESTION
        from agent_tasks.cli.demo.run import Demo

        code = Demo([path.absolute() for path in documents], asked, target, data_dir, samples=not paths).run()
    raise typer.Exit(code)


def _writable(path: Path) -> Path:
    """Raises InvalidInput: better now than after the work."""
    path = path.absolute()
    if not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidInput(f"The report cannot be written to {path}; name another file with --output.", field="output")
    return path


def _free_name(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free

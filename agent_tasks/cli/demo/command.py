"""The demo's command: its arguments are checked before anything starts."""

import os
from pathlib import Path
from typing import Annotated

import typer

from agent_tasks.errors import InvalidInput

_EXTRAS = "The demo needs more libraries: pip install 'agent-tasks[dev]'."


def demo(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, help="Documents or folders (text, Markdown, HTML, PDF). Default: samples."),
    ] = None,
    question: Annotated[str | None, typer.Option(help="The question to answer from them.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve the report without asking.")] = False,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where to write the report. Default: report.md.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep data and logs in this folder. Default: nothing is kept.")
    ] = None,
) -> None:
    """See it work: answer a question from documents, survive a killed worker, publish when you approve."""
    from importlib import import_module
    from importlib.util import find_spec

    from agent_tasks.cli.demo.environment import only_for_models
    from agent_tasks.cli.demo.target import target

    if paths and not question:
        raise InvalidInput("Say what to answer from these documents with --question '…'", field="question")
    if find_spec("bm25s") is None:
        raise InvalidInput(_EXTRAS, field="paths")
    with target(output) as file, only_for_models():
        samples = import_module("agent_tasks.bundled.research.samples")
        documents: list[Path] = paths or samples.sample_documents()
        asked: str = question or samples.SAMPLE_QUESTION
        from agent_tasks.cli.demo.run import Demo

        absolute = [path.absolute() for path in documents]
        if named := next((path for path in (*absolute, file) if os.pathsep in str(path)), None):
            raise InvalidInput(f"The demo takes no path that contains {os.pathsep!r}: {str(named)!r}", field="paths")
        code = Demo(absolute, asked, file, data_dir, samples=not paths, yes=yes).run()
    raise typer.Exit(code)

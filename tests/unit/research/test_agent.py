"""The agent, step by step, without a model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import BudgetExhausted, Done, InvalidInput, Next, StepFailed
from agent_tasks.bundled.extras import optional
from agent_tasks.bundled.research.formats.blocks import squeeze
from agent_tasks.bundled.research.samples import SAMPLE_QUESTION, sample_documents
from agent_tasks.bundled.research.search import Search
from agent_tasks.bundled.research.specialists import BATCH, read, reader
from agent_tasks.task.budget import Budget
from tests.unit.research.contexts import FakeSyncContext, run
from tests.unit.research.corpus import write_corpus

QUESTION = "How does the system recover when a worker dies?"


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENT_TASKS_MODEL", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    return write_corpus(tmp_path / "docs")


def many(folder: Path, count: int) -> Path:
    for number in range(count):
        text = f"Worker number {number} died at {number} o'clock and its task was recovered by worker {number + 1}."
        (folder / f"{number:03}.txt").write_text(text)
    return folder


def test_the_result_has_report_sources_passages_and_counts(folder: Path):
    result = run(paths=[str(folder)], question=QUESTION)
    assert result["model"] is None
    assert result["path"] is None
    assert result["stats"]["documents"] == result["stats"]["read"] == 4
    assert result["stats"]["quoted"] == len(result["passages"]) >= 3
    assert {source["path"] for source in result["sources"]} == {"operations.md", "runbook.html", "manual.pdf"}
    assert "garden" not in result["report"]


def test_the_report_reads_as_a_document(folder: Path):
    report = run(paths=[str(folder)], question=QUESTION)["report"]
    headings = [line for line in report.splitlines() if line.startswith(("# ", "## "))]
    assert headings == [
        f"# {QUESTION}",
        "## Short answer",
        "## Findings",
        "## What the sources agree on",
        "## What is not covered",
        "## Sources",
        "## Method",
    ]
    assert "recovers the task from its last checkpoint" in report.split("## Findings")[0]
    assert "Extractive" in report
    assert "*The Manual*, `manual.pdf`, 2 Recovery, page 2" in report


def test_every_quoted_passage_stands_verbatim_in_its_source(tmp_path: Path):
    many(tmp_path, 20)
    (tmp_path / "a.md").write_text(
        "# Title\n\n"
        + "\n\n".join(
            f"Recovery rule {n}: a worker that dies {n} times\nis given up, and its tasks go to worker {n + 1}."
            for n in range(9)
        )
    )
    result = run(paths=[str(tmp_path)], question=QUESTION)
    assert result["passages"]
    for passage in result["passages"]:
        source = squeeze((tmp_path / passage["path"]).read_text())
        for paragraph in passage["text"].split("\n\n"):
            assert paragraph in source
            assert f"> {paragraph}" in result["report"]


def a_search(folder: Path) -> dict[str, Any]:
    files = sorted(path.name for path in folder.iterdir())
    search = Search(question=QUESTION, root=str(folder), documents=len(files), max_passages=12)
    return {"search": search.state(), "files": files}


def test_each_document_is_read_once(tmp_path: Path):
    kept = FakeSyncContext()
    run(kept, paths=[str(many(tmp_path, 3 * BATCH + 1))], question=QUESTION)
    assert kept.steps == ["plan", "analyse", "write", "review", "publish", "finish"]
    names = [args[1] for name, args in kept.calls if name == "read_document"]
    assert len(names) == len(set(names)) == 3 * BATCH + 1
    assert kept.progressed[-1][:2] == (3 * BATCH + 4, 3 * BATCH + 4)


def test_the_state_of_a_reader_stays_small_however_much_it_reads(tmp_path: Path):
    state = a_search(many(tmp_path, 200))
    steps = 1
    while isinstance(outcome := read(FakeSyncContext(), **reader.first_step.validate(state)), Next):
        state, steps = outcome.state, steps + 1
        assert len(json.dumps(state)) < 100_000
    assert steps == 200 / BATCH
    assert isinstance(outcome, Done)
    assert outcome.result["seen"] == 200


def test_what_a_reader_keeps_for_an_early_end_is_all_that_it_has_read(tmp_path: Path):
    kept = FakeSyncContext(Budget(calls=3))
    with pytest.raises(BudgetExhausted):
        read(kept, **reader.first_step.validate(a_search(many(tmp_path, BATCH))))
    partial = Search.model_validate(kept.partials[-1])
    assert partial.seen == 3
    assert partial.chosen()


def test_a_read_step_can_be_repeated_with_the_same_outcome(tmp_path: Path):
    state = a_search(many(tmp_path, 2 * BATCH))
    first, second = (read(FakeSyncContext(), **reader.first_step.validate(state)) for _ in range(2))
    assert first == second


def test_a_broken_document_is_listed_with_its_reason(folder: Path):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")
    kept = FakeSyncContext()
    result = run(kept, paths=[str(folder)], question=QUESTION)
    assert "## Not read\n\n- `broken.pdf`: broken PDF" in result["report"]
    assert kept.events[0][1]["path"] == "broken.pdf"
    assert result["stats"]["unread"] == 1
    assert result["stats"]["read"] == 4


def test_only_broken_documents_are_invalid_input(tmp_path: Path):
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")
    with pytest.raises(InvalidInput, match="None of the 1 documents can be read"):
        run(paths=[str(tmp_path)], question=QUESTION)


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"paths": [], "question": QUESTION}, "paths"),
        ({"paths": ["no/such/place"], "question": QUESTION}, "paths"),
        ({"paths": ["."], "question": "?? !"}, "question"),
        ({"paths": ["."], "question": QUESTION, "max_passages": 0}, "max_passages"),
        ({"paths": ["."]}, "question"),
        ({"paths": ["."], "question": QUESTION, "approve": True}, "approve"),
    ],
)
def test_bad_input_names_its_field(state: dict[str, Any], field: str):
    with pytest.raises(InvalidInput) as error:
        run(**state)
    assert error.value.details["field"] == field


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(folder: Path):
    with pytest.raises(InvalidInput) as error:
        run(paths=[str(folder)], question=QUESTION, output=str(folder))
    assert error.value.details["field"] == "output"


def test_the_report_is_written_to_the_output(folder: Path, tmp_path: Path):
    output = tmp_path / "new" / "report.md"
    result = run(paths=[str(folder)], question=QUESTION, output=str(output))
    assert output.read_text() == result["report"]
    assert result["path"] == str(output)
    assert [path.name for path in output.parent.iterdir()] == ["report.md"]


def test_no_more_passages_are_quoted_than_asked_for(tmp_path: Path):
    assert len(run(paths=[str(many(tmp_path, 30))], question=QUESTION, max_passages=2)["passages"]) <= 2


def test_a_question_that_nothing_answers_says_so(folder: Path):
    result = run(paths=[str(folder)], question="What does a xylophone cost?")
    assert result["passages"] == []
    assert "None speaks of “xylophone”" in result["report"]


def test_what_is_active_in_markdown_is_shown_and_not_obeyed(tmp_path: Path):
    (tmp_path / "x.txt").write_text(
        "When a worker dies, however it may have died, the <img src=x> task is *recovered* by __the__ [sweep](x)."
    )
    report = run(paths=[str(tmp_path)], question=QUESTION)["report"]
    assert "<img" not in report
    assert r"&lt;img src=x> task is \*recovered\* by \_\_the\_\_ \[sweep\](x)" in report


def test_a_missing_extra_says_which_to_install():
    with pytest.raises(StepFailed, match=r"pip install 'agent-tasks\[llm\]'"):
        optional("no_such_library_at_all", "llm")


def test_loading_the_agent_loads_no_heavy_library():
    code = "import sys, agent_tasks.bundled.research.agent, agent_tasks.bundled.research.orchestrator; "
    code += "print(sorted({'numpy', 'bm25s', 'pypdf', 'bs4', 'markdown_it', "
    code += "'Stemmer', 'pydantic_ai'} & set(sys.modules)))"
    root = Path(__file__).parents[3]
    shown = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_samples_are_a_stable_list_of_files_that_answer_their_question(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENT_TASKS_BUNDLED_ROOT", "/")
    documents = sample_documents()
    assert documents == sample_documents()
    assert len(documents) == len(set(documents)) > 20
    assert all(path.is_file() for path in documents)
    celery = [str(path) for path in documents if "celery" in str(path)]
    assert run(paths=celery, question=SAMPLE_QUESTION)["passages"]

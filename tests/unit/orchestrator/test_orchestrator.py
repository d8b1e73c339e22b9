"""The orchestrator, step by step: children that complete and children that fall short, approvals, publishing."""

from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import Budget, BudgetExhausted, Done, FanOut, InvalidInput, Next, Partial, TaskStatus, Wait
from agent_tasks.bundled.research import orchestration
from agent_tasks.bundled.research.orchestration import READERS, plan, publish, withdraw
from agent_tasks.bundled.research.orchestrator import orchestrator
from agent_tasks.bundled.research.search import Search
from tests.unit.research.contexts import FakeSyncContext, end, outcome_of, through_json
from tests.unit.research.corpus import write_corpus

QUESTION = "How does the system recover when a worker dies?"


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENT_TASKS_MODEL", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    return write_corpus(tmp_path / "docs")


@pytest.fixture
def asked(folder: Path, tmp_path: Path) -> dict[str, Any]:
    return {"paths": [str(folder)], "question": QUESTION, "output": str(tmp_path / "report.md")}


def many(folder: Path, count: int) -> Path:
    for number in range(count):
        text = f"Worker number {number} died at {number} o'clock and its task was recovered by worker {number + 1}."
        (folder / f"{number:03}.txt").write_text(text)
    return folder


def planned(folder: Path, budget: Budget | None = None) -> FanOut:
    return plan(FakeSyncContext(budget), [str(folder)], QUESTION)


def test_the_readers_share_every_document_evenly(tmp_path: Path):
    children = planned(many(tmp_path, 50)).children
    shares = [child.input["files"] for child in children]
    assert [len(share) for share in shares] == [13, 13, 12, 12] == [child.weight for child in children]
    assert sorted(chain.from_iterable(shares)) == [f"{number:03}.txt" for number in range(50)]


def test_few_documents_have_one_reader(tmp_path: Path):
    assert len(planned(many(tmp_path, 3)).children) == 1


def test_no_more_readers_are_spawned_than_the_budget_has_a_share_for(tmp_path: Path):
    many(tmp_path, 200)
    assert len(planned(tmp_path).children) == READERS
    assert len(planned(tmp_path, Budget(tokens=5)).children) == 2
    assert len(planned(tmp_path, Budget(calls=2)).children) == 1


def test_what_follows_the_readers_is_reserved_and_never_all_there_is(tmp_path: Path):
    many(tmp_path, 3)
    reserve = planned(tmp_path, Budget(seconds=100, steps=50, calls=50)).reserve
    assert reserve.seconds == pytest.approx(40, abs=1)
    assert (reserve.steps, reserve.calls, reserve.tokens) == (8, 4, None)
    assert planned(tmp_path, Budget(steps=3, calls=2)).reserve == Budget(steps=1)


def test_with_all_children_completed_it_completes(asked: dict[str, Any]):
    outcome = end(agent=orchestrator, **asked)
    assert isinstance(outcome, Done)
    assert [(child["agent"], child["status"]) for child in outcome.result["children"]] == [
        ("research-reader", "completed"),
        ("research-analyst", "completed"),
        ("research-writer", "completed"),
    ]
    assert Path(asked["output"]).read_text() == outcome.result["report"]
    assert "Ended early" not in outcome.result["report"]


@pytest.mark.parametrize("who", ["research-analyst", "research-writer"])
def test_without_an_analysis_or_a_writer_it_ends_partial_with_the_passages(asked: dict[str, Any], who: str):
    outcome = end(agent=orchestrator, ends={who: TaskStatus.TIMEOUT}, **asked)
    assert isinstance(outcome, Partial)
    assert outcome.reason == f"Ended early: 4 of 4 documents had been read. 1 {who} ended as timeout: It ran out."
    assert outcome.reason in outcome.result["report"]
    assert outcome.result["passages"]
    assert Path(asked["output"]).read_text() == outcome.result["report"]


def test_a_reader_that_ran_out_gives_what_it_had_read(folder: Path):
    fan_out = planned(folder)
    found = Search.model_validate(fan_out.children[0].input["search"])
    kept = FakeSyncContext()
    orchestration.reader.first_step.function(kept, found, fan_out.children[0].input["files"])
    exhausted = BudgetExhausted("It ran out.", resource="calls").info
    children = [
        outcome_of("research-reader", TaskStatus.PARTIAL, kept.partials[-1], exhausted),
        outcome_of("research-reader", TaskStatus.FAILED, None, exhausted),
    ]
    search = Search.model_validate(fan_out.state["search"]).model_copy(update={"documents": 8})
    outcome = orchestration.analyse(kept, search, None, None, children)
    assert outcome.state["search"]["pool"]
    sentence = (
        "4 of 8 documents had been read. 1 research-reader ended as partial: It ran out; 1 research-reader ended as"
    )
    assert sentence in kept.partials[-1]["report"]


def test_readers_that_bring_nothing_end_it_with_their_error(asked: dict[str, Any]):
    with pytest.raises(BudgetExhausted, match="It ran out"):
        end(agent=orchestrator, ends={"research-reader": TaskStatus.FAILED}, **asked)


def test_an_approval_is_waited_for_before_anything_is_published(asked: dict[str, Any]):
    outcome = end(agent=orchestrator, approve=True, signal={"ok": True}, **asked)
    assert isinstance(outcome, Done)
    assert outcome.result["path"] == asked["output"]
    assert Path(asked["output"]).exists()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "Nobody approved the report in time; it was not published."),
        ({"ok": False}, "The report was refused; it was not published."),
        ({"ok": False, "note": "too short"}, "The report was refused: too short; it was not published."),
    ],
)
def test_what_is_not_approved_is_not_published_and_not_lost(
    asked: dict[str, Any], answer: dict[str, Any] | None, reason: str
):
    outcome = end(agent=orchestrator, approve=True, signal=answer, **asked)
    assert isinstance(outcome, Partial)
    assert outcome.reason == reason
    assert outcome.result["path"] is None
    assert outcome.result["report"].startswith(f"# {QUESTION}")
    assert not Path(asked["output"]).exists()


def test_the_approval_has_as_long_as_was_asked_for(asked: dict[str, Any]):
    kept = FakeSyncContext()
    state = {"findings": {}, "team": [], "output": None, "patience": 60.0}
    search = Search(question=QUESTION, root="/", documents=0, max_passages=1)
    step = orchestrator.steps["review"]
    written = outcome_of("research-writer", result={"report": "r", "model": None})
    outcome = step.function(kept, **step.validate({**state, "search": search.state()}), children=[written])
    assert isinstance(outcome, Wait)
    assert (outcome.names, outcome.timeout) == (("approval",), 60.0)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_an_approval_time_that_cannot_be_is_refused(asked: dict[str, Any], seconds: float):
    with pytest.raises(InvalidInput) as error:
        orchestrator.first_step.write({**asked, "approve": True, "approval_seconds": seconds})
    assert error.value.details["field"] == "approval_seconds"


@pytest.mark.parametrize("payload", [{}, {"ok": "perhaps"}, {"ok": True, "note": "x" * 1001}])
def test_a_signal_that_is_no_approval_is_refused_to_its_sender(payload: dict[str, Any]):
    payload_type = orchestrator.steps["decide"].payload_type
    assert payload_type is not None
    with pytest.raises(ValueError, match="validation error"):
        payload_type.read(payload)


def published(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    file = tmp_path / "new" / "report.md"
    outcome = publish(FakeSyncContext(), {"report": "A report", "path": None}, None, str(file))
    assert isinstance(outcome, Next)
    assert file.read_text() == "A report"
    return through_json(outcome.state["result"]), file


def test_publishing_is_undone_by_removing_the_file(tmp_path: Path):
    result, file = published(tmp_path)
    for _ in range(2):  # an undo may run again
        withdraw(FakeSyncContext(), result)
        assert not file.exists()
    assert orchestrator.steps["publish"].undo is withdraw


def test_a_file_that_somebody_has_changed_since_is_not_removed(tmp_path: Path):
    result, file = published(tmp_path)
    file.write_text("A report, with a remark")
    withdraw(FakeSyncContext(), result)
    assert file.exists()


def test_nothing_published_is_nothing_to_undo():
    withdraw(FakeSyncContext(), {"report": "A report", "path": None})

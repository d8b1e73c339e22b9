"""The root: nothing outside of it is read or written, whatever leads there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTaskError, InvalidInput, PermissionDenied
from agent_tasks.bundled.research import root as of_agents
from agent_tasks.bundled.research.documents import find_documents, load
from agent_tasks.bundled.research.publishing import remove, save, writable
from agent_tasks.bundled.research.reading import read_document

TEXT = "A worker died, and its task was recovered by another worker from its last checkpoint."


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The root, and a folder beside it; both hold a document."""
    inside, outside = tmp_path / "inside", tmp_path / "inside-not"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "notes.txt").write_text(TEXT)
    monkeypatch.setenv("AGENT_TASKS_BUNDLED_ROOT", str(inside))
    return inside, outside


def ways_out(inside: Path, outside: Path) -> dict[str, str]:
    """Paths that lie, or seem to lie, below the root, and lead out of it."""
    (inside / "link").symlink_to(outside)
    (inside / "link.txt").symlink_to(outside / "notes.txt")
    (inside / "chain").symlink_to(inside / "link")
    return {
        "beside": str(outside / "notes.txt"),
        "its folder": str(outside),
        "above": str(inside.parent),
        "up": str(inside / ".." / outside.name / "notes.txt"),
        "relative, up": f"../{outside.name}/notes.txt",
        "through a folder's link": str(inside / "link" / "notes.txt"),
        "through two": "chain/notes.txt",
        "a link": "link.txt",
        "the home folder": "~/notes.txt",
        "the whole disk": "/",
        "no such file": str(outside / "none.txt"),
        "no such folder": "/no/such/folder/at/all.txt",
    }


def refused(operation: Callable[[], Any]) -> str | None:
    try:
        operation()
    except PermissionDenied as error:
        return error.message
    return None


def test_no_way_out_is_read_or_written_and_what_is_there_is_not_told(places: tuple[Path, Path]) -> None:
    inside, outside = places
    ways = ways_out(inside, outside)
    for name, path in ways.items():
        for operation in (
            lambda path=path: find_documents([path]),
            lambda path=path: find_documents(["notes.txt", path]),
            lambda path=path: load(Path(path)),
            lambda path=path: read_document("", path, "worker"),
            lambda path=path: writable(path),
            lambda path=path: save(path, "overwritten"),
            lambda path=path: remove(path, TEXT),
        ):
            assert (refused(operation) or "").startswith(repr(path)), name
    assert {refused(lambda path=path: find_documents([path])).replace(repr(path), "") for path in ways.values()} == {  # type: ignore[union-attr]
        f" is not below {inside}, the only place where the bundled agents read and write. Put it there, or name its "
        "folder in AGENT_TASKS_BUNDLED_ROOT."
    }
    assert [path.read_text() for path in (outside / "notes.txt", inside / "notes.txt")] == [TEXT, TEXT]
    assert sorted(os.listdir(outside)) == ["notes.txt"]


def test_links_out_of_the_root_that_are_found_in_a_folder_are_left_out(places: tuple[Path, Path]) -> None:
    inside, outside = places
    ways_out(inside, outside)
    (inside / "none.txt").symlink_to("/no/such/file.txt")
    found = find_documents(["."])
    assert found["files"] == ["notes.txt"]
    reasons = {Path(skipped["path"]).name: skipped["reason"] for skipped in found["skipped"]}
    assert reasons == dict.fromkeys(["link.txt", "none.txt"], "a link out of the folder that may be read")


def test_a_link_within_the_root_is_followed(places: tuple[Path, Path]) -> None:
    inside, _ = places
    (inside / "twin.txt").symlink_to("notes.txt")
    assert find_documents(["twin.txt"])["files"] == ["notes.txt"]
    assert save(str(inside / "twin.txt"), "new") == str(inside / "twin.txt")
    assert (inside / "notes.txt").read_text() == "new"
    assert (inside / "twin.txt").is_symlink()


def test_a_link_that_is_put_there_after_the_look_is_not_followed(places: tuple[Path, Path]) -> None:
    inside, outside = places
    (inside / "folder").mkdir()
    (inside / "folder" / "notes.txt").write_text(TEXT)
    real = of_agents.below("folder/notes.txt", "paths")
    (inside / "folder" / "notes.txt").unlink()
    (inside / "folder").rmdir()
    (inside / "folder").symlink_to(outside)
    with pytest.raises(OSError, match="folder"), of_agents.folder_of(real):
        pass
    with pytest.raises(OSError, match="folder"), of_agents.folder_of(real, make=True):
        pass


def test_paths_are_relative_to_the_root_and_missing_folders_are_made(places: tuple[Path, Path]) -> None:
    inside, _ = places
    path = writable("new/deep/report.md")
    assert path == str(inside / "new" / "deep" / "report.md")
    assert save(path, "A report") == path
    assert Path(path).read_text() == "A report"
    assert Path(path).stat().st_mode & 0o777 == 0o644
    assert os.listdir(inside / "new" / "deep") == ["report.md"]
    assert remove(path, "another") is False
    assert remove(path, "A report") is True
    assert remove(path, "A report") is False


def test_a_report_that_cannot_be_written_leaves_no_draft(places: tuple[Path, Path]) -> None:
    inside, _ = places
    (inside / "taken").mkdir()
    with pytest.raises(InvalidInput, match="cannot be written"):
        save(str(inside / "taken"), "A report")
    assert sorted(os.listdir(inside)) == ["notes.txt", "taken"]


def test_several_roots_and_single_files_may_be_named(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inside, outside = places
    report = tmp_path / "report.md"
    monkeypatch.setenv("AGENT_TASKS_BUNDLED_ROOT", f"{inside}:{outside}:{report}")
    assert len(find_documents([str(inside), str(outside)])["files"]) == 2
    assert save(writable(str(report)), "A report") == str(report)
    assert report.read_text() == "A report"
    assert remove(str(report), "A report")
    with pytest.raises(PermissionDenied):
        writable(str(tmp_path / "other.md"))


def test_by_default_the_root_is_a_folder_of_the_agents_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGENT_TASKS_BUNDLED_ROOT", "")
    monkeypatch.setenv("AGENT_TASKS_DATA_DIR", str(tmp_path / "data"))
    assert of_agents.roots() == [tmp_path / "data" / "documents"]
    with pytest.raises(PermissionDenied):
        find_documents([str(tmp_path)])
    with pytest.raises(AgentTaskError, match="No such file or folder"):
        find_documents(["notes.txt"])
    path = save(writable("report.md"), "A report")
    assert Path(path) == tmp_path / "data" / "documents" / "report.md"


def test_a_pipe_is_not_waited_for(places: tuple[Path, Path]) -> None:
    inside, _ = places
    os.mkfifo(inside / "pipe.txt")
    assert find_documents(["notes.txt", "."])["files"] == ["notes.txt"]
    assert of_agents.read_bytes(inside / "pipe.txt") == b""

"""Finding and reading documents."""

import os
from pathlib import Path

import pytest

from agent_tasks import InvalidInput
from agent_tasks.bundled.research import documents
from agent_tasks.bundled.research.documents import find_documents, load
from agent_tasks.bundled.research.reading import read_document
from tests.unit.research.corpus import pdf, write_corpus


def text_of(path: Path) -> str:
    return "\n".join(block.text for block in load(path).blocks)


def test_documents_come_in_a_stable_order_and_each_once(tmp_path: Path):
    write_corpus(tmp_path)
    os.link(tmp_path / "garden.rst", tmp_path / "twin.rst")
    found = find_documents([str(tmp_path), str(tmp_path / "garden.rst")])
    assert found["files"] == ["garden.rst", "manual.pdf", "operations.md", "runbook.html"]
    assert {skipped["reason"] for skipped in found["skipped"]} == {"the same file as another"}


def test_links_to_folders_are_not_followed_so_that_loops_end(tmp_path: Path):
    write_corpus(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(find_documents([str(tmp_path)])["files"]) == 4


def test_hidden_binary_licence_and_unknown_files_are_left_out(tmp_path: Path):
    (tmp_path / "kept.txt").write_text("Something to read.")
    (tmp_path / ".hidden.md").write_text("secret")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "notes.md").write_text("secret")
    (tmp_path / "LICENSE.txt").write_text("Permission is hereby granted")
    (tmp_path / "program.exe").write_bytes(b"MZ")
    (tmp_path / "noise.txt").write_bytes(b"\x00\x01\x02" * 100)
    (tmp_path / "broken.md").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.txt")
    found = find_documents([str(tmp_path)])
    assert found["files"] == ["kept.txt"]
    reasons = {Path(skipped["path"]).name: skipped["reason"] for skipped in found["skipped"]}
    assert reasons == {
        "noise.txt": "binary",
        "broken.md": "No such file or directory",
        "pipe.txt": "not a regular file",
    }


def test_a_file_that_is_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "MAX_TEXT_BYTES", 10)
    (tmp_path / "small.txt").write_text("Tiny")
    (tmp_path / "large.txt").write_text("Not so tiny any more")
    found = find_documents([str(tmp_path)])
    assert found["files"] == ["small.txt"]
    assert "larger than" in found["skipped"][0]["reason"]


def test_too_many_documents_are_cut_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "MAX_DOCUMENTS", 2)
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text("Something")
    found = find_documents([str(tmp_path)])
    assert found["files"] == ["a.txt", "b.txt"]
    assert found["skipped"][0]["reason"] == "only the first 2 are read"


def test_a_name_that_is_no_unicode_is_told_in_a_form_that_can_be_stored(tmp_path: Path):
    (tmp_path / "fine.txt").write_text("Something")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.txt")).write_text("Something")
    found = find_documents([str(tmp_path)])
    assert found["files"] == ["fine.txt"]
    found["skipped"][0]["path"].encode()


@pytest.mark.parametrize("path", ["no/such/folder", "with\x00nul", "~nobody-of-this-name/x", "x" * 5000, "\udc80"])
def test_a_path_that_does_not_exist_is_invalid_input(path: str):
    with pytest.raises(InvalidInput, match="No such file or folder") as error:
        find_documents([path])
    assert error.value.details["field"] == "paths"


def test_a_folder_without_documents_is_invalid_input(tmp_path: Path):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(InvalidInput, match="No readable document"):
        find_documents([str(tmp_path)])


def test_html_is_read_without_its_furniture(tmp_path: Path):
    document = load(write_corpus(tmp_path) / "runbook.html")
    assert document.title == "Runbook"
    assert [block.text for block in document.blocks] == [
        "A crashed worker needs no help from you: the sweep finds its expired lease and requeues the step.",
        "The task resumes on another machine from its last checkpoint, usually within `20` seconds.",
    ]
    assert document.blocks[0].headings == ("Runbook", "Crashed workers")


def test_markdown_is_read_without_code_and_link_lists(tmp_path: Path):
    document = load(write_corpus(tmp_path) / "operations.md")
    assert document.title == "Operations"
    assert len(document.blocks) == 2
    assert document.blocks[0].headings == ("Operations", "When a worker dies")
    assert document.blocks[0].line == 7


def test_table_rows_of_markdown_are_kept_without_the_head(tmp_path: Path):
    (tmp_path / "t.md").write_text("| what | here |\n| --- | --- |\n| a worker dies | its `lease` ends |\n")
    assert text_of(tmp_path / "t.md") == "a worker dies | its `lease` ends"


def test_restructured_text_is_read_without_directives_and_literals(tmp_path: Path):
    (tmp_path / "d.rst").write_text(
        "Title\n=====\n\nSee :class:`~celery.Task` and `the guide <https://x.example>`_ for **more**::\n\n"
        "    code()\n\n.. note::\n\n    Mind the ``gap`` here.\n\n.. image:: x.png\n    :alt: x\n\n"
        "term\n    What the term means.\n"
    )
    document = load(tmp_path / "d.rst")
    assert [block.text for block in document.blocks] == [
        "See `Task` and the guide for more:",
        "Mind the `gap` here.",
        "What the term means.",
    ]
    assert document.blocks[2].headings == ("Title", "term")


def test_a_package_description_is_read_under_its_name(tmp_path: Path):
    (tmp_path / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme\nVersion: 1.2\nDescription-Content-Type: text/markdown\n\n"
        "# Acme\n\nAcme answers questions about the documents you give it.\n"
    )
    document = load(tmp_path / "METADATA")
    assert document.title == "acme 1.2"
    assert document.blocks[0].line == 8


def test_a_python_file_gives_its_docstrings(tmp_path: Path):
    (tmp_path / "m.py").write_text(
        '"""One module."""\n\nclass Task:\n    def run(self):\n        """Run the task on a worker, and run it again '
        'on another one where\n        that worker was killed before it was done.\n        """\n'
    )
    block = load(tmp_path / "m.py").blocks[0]
    assert block.text.endswith("where that worker was killed before it was done.")
    assert block.headings == ("Task.run",)


def test_pdf_paragraphs_know_their_page_and_heading(tmp_path: Path):
    (tmp_path / "p.pdf").write_bytes(
        pdf(
            [
                ["A Manual"],
                ["2 Recovery", "A killed process loses its lease and the queue hands on", "its task."],
            ]
        )
    )
    document = load(tmp_path / "p.pdf")
    assert document.title == "A Manual"
    block = document.blocks[-1]
    assert block.text == "A killed process loses its lease and the queue hands on its task."
    assert (block.page, block.headings) == (2, ("2 Recovery",))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("broken.pdf", b"%PDF-1.4\nnothing that follows is a PDF", "broken PDF"),
        ("fake.pdf", b"MZ\x00\x00", "not a PDF"),
        ("scan.pdf", pdf([[]]), "no text in it"),
        ("empty.md", b" \n", "empty"),
        ("broken.py", b"def (:", "not valid Python"),
        ("gone.txt", None, "No such file"),
    ],
)
def test_a_document_that_cannot_be_read_says_why(tmp_path: Path, name: str, data: bytes | None, reason: str):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    reading = read_document(str(tmp_path), name, "What is it?")
    assert reading["unread"] is not None
    assert reason in reading["unread"]
    assert reading["passages"] == []


def test_html_nested_without_end_is_unread_and_no_crash(tmp_path: Path):
    (tmp_path / "deep.html").write_text("<div>" * 5000 + "The end of it all is reached here at last.")
    assert read_document(str(tmp_path), "deep.html", "Where is the end?")["unread"]


@pytest.mark.parametrize(
    "data",
    [
        "Die Größe der Wörter zählt.".encode("cp1252"),
        "Die Größe der Wörter zählt.".encode("utf-16"),
        b"\xef\xbb\xbf" + "Die Größe der Wörter zählt.".encode(),
    ],
)
def test_encodings_are_recognised(tmp_path: Path, data: bytes):
    (tmp_path / "e.txt").write_bytes(data)
    assert text_of(tmp_path / "e.txt") == "Die Größe der Wörter zählt."


def test_what_postgres_refuses_is_cleaned_away(tmp_path: Path):
    (tmp_path / "n.html").write_bytes(b"<p>One &#0; two &#xD800; three \x07 four</p>" + b" " * 9000 + b"\x00")
    text = text_of(tmp_path / "n.html")
    text.encode()
    assert "\x00" not in text
    assert "\x07" not in text

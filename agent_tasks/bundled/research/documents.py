"""Finding the documents under the given paths, and reading one of them, whatever its format."""

import codecs
import os
import re
import stat
from email.parser import Parser
from pathlib import Path

from typing_extensions import TypedDict

from agent_tasks import InvalidInput
from agent_tasks.bundled.research.formats import html, markdown, pdf, python, restructured
from agent_tasks.bundled.research.formats.blocks import Document, clean
from agent_tasks.bundled.research.root import below, is_below, read_bytes

MAX_DOCUMENTS = 1000
MAX_TEXT_BYTES = 5_000_000
MAX_PDF_BYTES = 50_000_000

_MARKDOWN = {".md", ".markdown", ".mdown", ".mkd"}
_HTML = {".html", ".htm", ".xhtml"}
_TEXT = {".txt", ".text", ".rst", ".rest", ".asc"}
_SUFFIXES = _MARKDOWN | _HTML | _TEXT | {".pdf"}
_BARE_NAMES = {"readme", "metadata", "pkg-info"}
_NO_PROSE = re.compile(
    r"(?:licen[cs]es?|copying|notice|authors|contributors|requirements.*|top_level|entry_points|sources|robots)"
    r"(?:[._-].*)?$",
    re.IGNORECASE,
)
_NO_PROSE_FOLDERS = {"node_modules", "__pycache__", "licenses"}


class Skipped(TypedDict):
    path: str
    reason: str


class Found(TypedDict):
    """The documents found; `files` are relative to `root` and in a stable order."""

    root: str
    files: list[str]
    skipped: list[Skipped]


def find_documents(paths: list[str]) -> Found:
    """Find every readable document under `paths`, each once: folders in the order given, files by name.

    Hidden files, binaries, licences, links to folders (so no loops) or out of the root, and files that are too large
    are left out; a Python file is taken only if it is named itself, for its docstrings.

    Raises InvalidInput if a path does not exist or nothing readable is found, PermissionDenied outside of the root.
    """
    files: list[Path] = []
    skipped: list[Skipped] = []
    seen: set[tuple[int, int]] = set()
    for given in paths:
        path = below(given, "paths")
        if not os.path.exists(path):
            raise InvalidInput(f"No such file or folder: {given!r}", field="paths", value=clean(given))
        for file in _walk(path, skipped):
            if reason := _reason_to_skip(file, seen):
                skipped.append({"path": _shown(file), "reason": reason})
            elif len(files) == MAX_DOCUMENTS:
                skipped.append({"path": _shown(file), "reason": f"only the first {MAX_DOCUMENTS} are read"})
            else:
                files.append(file)
    if not files:
        raise InvalidInput(
            "No readable document (text, Markdown, HTML, PDF) in the given paths",
            field="paths",
            value=[clean(path) for path in paths],
            skipped=skipped[:20],
        )
    root = Path(os.path.commonpath([file.parent for file in files]))
    return {"root": str(root), "files": [str(file.relative_to(root)) for file in files], "skipped": skipped}


def load(path: Path) -> Document:
    """Load the document as blocks of prose.

    Raises OSError if it cannot be read, PermissionDenied outside of the root, and ValueError, saying why, if it
    makes no sense.
    """
    data = read_bytes(path)
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        return pdf.read(data, path.name)
    if not data.strip():
        raise ValueError("empty")
    text = clean(_decode(data))
    if suffix in _HTML:
        return html.read(text, path.name)
    if suffix in _MARKDOWN:
        return markdown.read(text, path.name)
    if suffix == ".py":
        return python.read(text, _module_name(path))
    if path.name.lower() in ("metadata", "pkg-info"):
        return _package_description(text, path.name)
    return restructured.read(text, path.name, plain=suffix not in (".rst", ".rest"))


def _walk(path: Path, skipped: list[Skipped]) -> list[Path]:
    if not os.path.isdir(path):
        return [path]
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        skipped.append({"path": _shown(Path(error.filename)), "reason": error.strerror or "unreadable"})

    for folder, folders, names in os.walk(path, onerror=unreadable):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _NO_PROSE_FOLDERS)
        found += [Path(folder, name) for name in sorted(names) if _is_document_name(name)]
    return found


def _is_document_name(name: str) -> bool:
    stem, suffix = os.path.splitext(name.lower())
    wanted = suffix in _SUFFIXES or name.lower() in _BARE_NAMES
    return wanted and not name.startswith(".") and not _NO_PROSE.match(stem)


def _reason_to_skip(path: Path, seen: set[tuple[int, int]]) -> str | None:
    try:
        str(path).encode()
        if not is_below(path):
            return "a link out of the folder that may be read"
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if (status.st_dev, status.st_ino) in seen:
            return "the same file as another"
        seen.add((status.st_dev, status.st_ino))
        is_pdf = path.suffix.lower() == ".pdf"
        limit = MAX_PDF_BYTES if is_pdf else MAX_TEXT_BYTES
        if status.st_size > limit:
            return f"larger than {limit // 1_000_000} MB"
        start = read_bytes(path, most=8192)
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    except OSError as error:
        return error.strerror or "unreadable"
    binary = not is_pdf and b"\x00" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "binary" if binary else None


def _decode(data: bytes) -> str:
    """Decode by the byte order mark, else as UTF-8, else as Windows-1252 (which most other Western text is)."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _package_description(text: str, name: str) -> Document:
    """Read the long description from a package's core metadata (PEP 566)."""
    metadata = Parser().parsestr(text)
    title = " ".join(filter(None, (metadata["Name"], metadata["Version"]))) or name
    description = metadata["Description"] or str(metadata.get_payload())
    first_line = text.count("\n", 0, max(text.find(description[:200]), 0)) + 1
    is_markdown = "markdown" in (metadata["Description-Content-Type"] or "")
    read = markdown.read if is_markdown else restructured.read
    return Document(title, read(description, name, first_line).blocks)


def _module_name(path: Path) -> str:
    names = [path.stem] if path.stem != "__init__" else []
    folder = path.parent
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names) or path.name


def _shown(path: Path) -> str:
    return clean(str(path))

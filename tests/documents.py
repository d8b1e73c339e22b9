"""The README and the documents, and the code in them."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def documents() -> dict[str, str]:
    """Text by path from the project's folder."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a document in a language, in order."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def write_module(name: str, folder: Path) -> str:
    """Write the Python blocks of a document into one module in `folder`; returns the module's name."""
    module = f"documented_{Path(name).stem.lower()}"
    (folder / f"{module}.py").write_text("\n".join(blocks(name, "python")), encoding="utf-8")
    return module


def module_of(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The Python blocks of a document, imported as one module."""
    module = write_module(name, folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(importlib.sys.modules, module, raising=False)  # type: ignore[attr-defined]
    return importlib.import_module(module)

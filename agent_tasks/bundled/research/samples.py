"""Documents to try the agent on without any of one's own: the project's and those of installed packages."""

from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

SAMPLE_QUESTION = "What happens to a running task when its worker dies?"

MOST = 240
SMALLEST = 1500
_PROSE = {".md", ".rst", ".txt"}
_NO_PROSE = ("licen", "copying", "notice", "authors", "top_level", "entry_points", "requirements", "sources")
_NO_PROSE_FOLDERS = ("licenses", "test", "tests", "share", "vendor", "_vendor", "node_modules", "dist")
# Packages whose modules are documented at length in their docstrings.
_DOCUMENTED = (
    "celery",
    "kombu",
    "redis",
    "SQLAlchemy",
    "psycopg",
    "psycopg-pool",
    "pydantic",
    "alembic",
    "billiard",
)
_MODULES_EACH = 14


def sample_documents() -> list[Path]:
    """Return at most MOST files, the project's own first, then by package name; the same list each time."""
    found = _project()
    installed = {dist.name.lower(): dist for dist in distributions()}
    for name in sorted(installed):
        found += _written(installed[name])
    for name in _DOCUMENTED:
        try:
            found += _documented(distribution(name))
        except PackageNotFoundError:
            continue
    unique = {path.resolve(): path for path in found if path.is_file()}
    return list(unique.values())[:MOST]


def _project() -> list[Path]:
    root = Path(__file__).resolve().parents[3]
    if not (root / "pyproject.toml").is_file():
        return []
    return [*sorted(root.glob("docs/**/*.md")), root / "README.md"]


def _written(dist: Distribution) -> list[Path]:
    """Return the long description and other prose that a package ships with."""
    found: list[Path] = []
    for file in sorted(dist.files or []):
        name = file.name.lower()
        if (file.suffix in _PROSE or name == "metadata") and not (
            name.startswith(_NO_PROSE) or (file.stem.isupper() and name not in ("metadata", "readme.md", "readme.rst"))
        ):
            hidden = any(part.startswith(".") or part in _NO_PROSE_FOLDERS for part in file.parts[:-1])
            path = Path(str(dist.locate_file(file)))
            if not hidden and path.is_file() and path.stat().st_size >= SMALLEST:
                found.append(path)
    return found


def _documented(dist: Distribution) -> list[Path]:
    """Return the largest modules, by name: most of the docstrings are in them."""
    modules = [
        Path(str(dist.locate_file(file)))
        for file in dist.files or []
        if file.suffix == ".py" and not any(part in _NO_PROSE_FOLDERS for part in file.parts)
    ]
    largest = sorted((m for m in modules if m.is_file()), key=lambda m: (-m.stat().st_size, m))[:_MODULES_EACH]
    return sorted(largest)

"""The migrations, as a chain of files."""

from pathlib import Path

from alembic.script import ScriptDirectory

from agent_tasks.store import migrations


def test_each_migration_is_named_by_its_revision_and_comes_after_those_of_lesser_names() -> None:
    """A worker takes no steps where the database is behind what it was released with, which it knows by the names."""
    script = ScriptDirectory.from_config(migrations._config())  # pyright: ignore[reportPrivateUsage]
    chain = [(each.revision, Path(each.path).name) for each in script.walk_revisions()][::-1]
    assert [revision for revision, _ in chain] == sorted(revision for revision, _ in chain)
    assert all(name.startswith(f"{revision}_") for revision, name in chain)

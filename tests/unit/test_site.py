"""The documentation as a site: it builds, offline, and its reference has every public name."""

import inspect
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import chain, takewhile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

import agent_tasks
from agent_tasks import aio
from agent_tasks.deployment import Deployment
from tests.documents import ROOT

REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
PUBLIC = {f"{module.__name__}.{name}" for module in (agent_tasks, aio) for name in module.__all__}


class Page(HTMLParser):
    """What a page has, and what it asks for."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text = file.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given[name] or "" for name in ("id", "name") if name in given}
        target = given.get("href") or given.get("src")
        if target is not None:
            (self.links if tag == "a" else self.loaded).append(target)

    def section(self, name: str) -> str:
        """What stands below the heading of a name, up to the next heading, without the markup."""
        (found,) = re.findall(rf'<h\d id="{re.escape(name)}".*?(?=<h\d id=|</article>)', self.text, re.DOTALL)
        return re.sub(r"<[^>]+>", "", found)


def configuration() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def names_on(file: Path) -> list[str]:
    return re.findall(r"^::: (\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The built pages, by their paths in the site."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    (folder / "agent_tasks").symlink_to(ROOT / "agent_tasks")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert built.returncode == 0, built.stdout + built.stderr
    files = (folder / "site").rglob("*.html")
    return {str(file.relative_to(folder / "site")): Page(file) for file in files}


def test_the_reference_has_each_public_name_on_one_page() -> None:
    everywhere = [name for file in REFERENCE for name in names_on(file)]
    assert sorted(set(everywhere)) == sorted(everywhere)
    assert PUBLIC - set(everywhere) == set()


def test_every_document_is_in_the_navigation_of_the_site() -> None:
    (home,), (guide,), (reference,) = (part.values() for part in configuration()["nav"])
    there = {str(file.relative_to(ROOT / "docs")) for file in (ROOT / "docs").rglob("*.md")}
    assert sorted([home, *guide, *reference]) == sorted(there)


def test_the_site_shows_each_public_name(site: dict[str, Page]) -> None:
    assert PUBLIC - {name for page in site.values() for name in page.ids} == set()


@pytest.mark.parametrize("name", [name for name in agent_tasks.__all__ if inspect.isclass(getattr(agent_tasks, name))])
def test_the_site_shows_each_method_that_is_not_for_the_package_alone(site: dict[str, Page], name: str) -> None:
    filters = configuration()["plugins"][1]["mkdocstrings"]["handlers"]["python"]["options"]["filters"]
    shown = {identifier for page in site.values() for identifier in page.ids}
    cls = getattr(agent_tasks, name)
    parts = takewhile(lambda base: base is not Deployment, cls.__mro__) if cls is agent_tasks.AgentTasks else [cls]
    for method, value in chain.from_iterable(vars(part).items() for part in parts):
        is_one = isinstance(value, property | classmethod) or inspect.isfunction(value)
        if is_one and not any(re.search(pattern.removeprefix("!"), method) for pattern in filters):
            assert f"agent_tasks.{name}.{method}" in shown, f"{name}.{method} needs a docstring to be shown"


def test_what_is_made_of_a_method_is_shown_with_the_arguments_of_the_method(site: dict[str, Page]) -> None:
    page = site["reference/aio/index.html"]
    assert "idempotency_key" in site["reference/client/index.html"].section("agent_tasks.submit")
    for scope in (aio.AsyncAgentTasks, aio.AsyncTaskHandle):
        for name, function in inspect.getmembers(scope, inspect.isfunction):
            if not name.startswith("_"):
                shown = page.section(f"agent_tasks.aio.{scope.__name__}.{name}")
                missing = [p for p in inspect.signature(function).parameters if p != "self" and p not in shown]
                assert not missing, f"{name} is shown without {missing}: {shown}"
    assert "AsyncTaskHandle" in page.section("agent_tasks.aio.submit")


def test_every_link_of_the_site_leads_somewhere(site: dict[str, Page]) -> None:
    for path, page in site.items():
        if path == "404.html":  # its links are from the root of wherever the site is put
            continue
        for link in page.links:
            target, _, place = link.partition("#")
            if "://" in target:
                continue
            file = Path("/", path).parent / target
            there = site.get(str(file.resolve() / "index.html").lstrip("/")) if target else page
            assert there is not None, f"{path} links to {link}"
            assert not place or unquote(place) in there.ids, f"{path} links to {link}"


def test_the_site_loads_nothing_from_elsewhere(site: dict[str, Page]) -> None:
    assert {target for page in site.values() for target in page.loaded if "//" in target} == set()

"""Two agents of one name are refused; a module that is run again declares its own anew."""

import importlib
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks import Agent, InvalidInput
from agent_tasks.authoring import agent as agents
from agent_tasks.authoring.agent import find_agent

ONE = """
from agent_tasks import Agent, agent
made = Agent("declared")
made.step(lambda ctx: None, name="{step}")
"""
TWICE = ONE.format(step="begin") + "\nmore = Agent('declared')\n"
FUNCTION_TWICE = ONE.format(step="begin") + "\n@agent('declared')\ndef other(ctx):\n    pass\n"
FACTORY = """
from agent_tasks import Agent
def make(model):
    return Agent("declared")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to import modules from; nothing of them is left behind."""
    before, loaded = set(agents.loaded_agents()), set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(agents.loaded_agents()) - before:
        del agents._registry[name]
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


def write(folder: Path, name: str, code: str) -> str:
    (folder / f"{name}.py").write_text(code)
    importlib.invalidate_caches()
    return name


@pytest.mark.parametrize("code", [TWICE, FUNCTION_TWICE, FACTORY + "make(1)\nmake(2)\n"])
def test_a_module_that_declares_one_name_twice_is_refused_with_both_lines(folder: Path, code: str) -> None:
    with pytest.raises(InvalidInput, match=r"named 'declared': in twice, in lines \d+ and \d+"):
        importlib.import_module(write(folder, "twice", code))


def test_two_modules_that_declare_one_name_are_refused(folder: Path) -> None:
    importlib.import_module(write(folder, "one", ONE.format(step="begin")))
    with pytest.raises(InvalidInput, match="in one and in other"):
        importlib.import_module(write(folder, "other", ONE.format(step="begin")))


def test_two_modules_that_have_one_name_made_by_a_third_are_refused(folder: Path) -> None:
    write(folder, "factory", FACTORY)
    importlib.import_module(write(folder, "one", "import factory\nfactory.make(1)\n"))
    with pytest.raises(InvalidInput, match="in one and in other"):
        importlib.import_module(write(folder, "other", "import factory\nfactory.make(1)\n"))


def test_a_module_that_is_loaded_again_declares_its_agents_anew(folder: Path) -> None:
    module = importlib.import_module(write(folder, "again", ONE.format(step="begin")))
    write(folder, "again", "\n\n" + ONE.format(step="changed_step"))
    importlib.reload(module)
    assert list(find_agent("declared").steps) == ["changed_step"]


def test_a_program_that_is_loaded_as_a_module_too_declares_its_agents_once(folder: Path) -> None:
    write(folder, "program", ONE.format(step="begin"))
    runpy.run_path(str(folder / "program.py"), run_name="__main__")
    importlib.import_module("program")
    assert find_agent("declared").module == "program"


def test_an_agent_that_a_function_makes_may_be_made_again_as_tests_do(folder: Path) -> None:
    for _ in range(2):
        made = Agent("declared")
    assert find_agent("declared") is made
    assert made.module == __name__

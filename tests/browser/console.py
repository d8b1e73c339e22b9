"""Console: the console as somebody has it before their eyes."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_tasks import AgentTasks
from agent_tasks.client.handle import TaskHandle
from tests.gateway.browser import Browser
from tests.processes import Processes, Running

SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
"""Markup that must be shown as it is, in whatever field it comes."""
DESK, PHONE = (1400, 900), (400, 800)
FOLDER = os.environ.get("AGENT_TASKS_TEST_SCREENSHOTS")
"""Where pictures of the pages are kept, for a person to look at."""
_AXE = (Path(__file__).parent / "axe.min.js").read_text()
_RULES = '["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]'


@dataclass
class Console:
    """A browser at a console, and what is behind it."""

    browser: Browser
    client: AgentTasks
    processes: Processes
    running: Running
    url: str
    tasks: dict[str, TaskHandle] = field(default_factory=dict[str, TaskHandle])

    def open(self, path: str = "") -> None:
        """Open a page, and wait until its stream has begun, where it has one."""
        self.browser.errors.clear()
        self.browser.refusals.clear()
        self.browser.open(self.url + path)
        if self.is_live:
            self.browser.until("document.documentElement.dataset.stream === 'live'")

    @property
    def is_live(self) -> bool:
        return bool(self.browser.ask("document.querySelector('main').hasAttribute('hx-sse:connect')"))

    def page_of(self, name: str) -> str:
        return f"/tasks/{self.tasks[name].id}"

    def faults(self) -> list[str]:
        """What is wrong with the page for whoever cannot see it well, or not at all; each with where it is."""
        self.browser.ask(f"(() => {{ if (!window.axe) {{ {_AXE} }} }})()")
        found: list[dict[str, Any]] = self.browser.ask(
            f"axe.run(document, {{runOnly: {_RULES}}}).then(found => found.violations.map(one => "
            "({id: one.id, where: one.nodes.slice(0, 3).map(node => node.html.slice(0, 160))})))",
            waits=True,
        )
        return [f"{each['id']}: {each['where']}" for each in found]

    def picture(self, name: str) -> None:
        if FOLDER:
            self.browser.screenshot(Path(FOLDER) / f"console_{name}.png")

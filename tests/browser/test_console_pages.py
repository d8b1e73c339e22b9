"""Each page of the console, as a person sees it, on a desk and on a phone, in the light and in the dark."""

from urllib.parse import urlencode

import pytest

from tests.browser.conftest import EVE
from tests.browser.console import DESK, PHONE, SCRIPT, Console

pytestmark = pytest.mark.browser

PAGES = {
    "now": "",
    "tasks": "/tasks",
    "filtered": "/tasks?status=completed&agent=tallier",
    "wrong": "/tasks?created_after=yesterday",
    "inbox": "/inbox",
    "sessions": "/sessions",
    "session": f"/session?{urlencode({'id': f'session {SCRIPT}', 'tenant': EVE.tenant})}",
    "schedules": "/schedules",
    "agents": "/agents",
    "bulk": "/bulk",
    "workers": "/workers",
    "deliveries": "/deliveries",
    "limits": "/limits",
    "audit": "/audit",
    "waiting": "waiting",
    "failed": "failed",
    "children": "children",
    "sleeping": "sleeping",
    "secret": "secret",
    "unknown": "/tasks/0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_everywhere_and_for_everybody(console: Console, name: str) -> None:
    path = console.page_of(name) if name in console.tasks else PAGES[name]
    browser = console.browser
    for size, dark in ((DESK, False), (DESK, True), (PHONE, False), (PHONE, True)):
        browser.show(*size, dark=dark)
        console.open(path)
        console.picture(f"{name}_{size[0]}_{'dark' if dark else 'light'}")
        assert browser.ask("document.documentElement.scrollWidth") <= size[0], "wider than the window"
        assert browser.ask("document.title").endswith("· agent-tasks")
        assert browser.ask("document.querySelectorAll('[onerror], #live script, img:not([src*=icon])').length") == 0
        assert console.faults() == []
        assert browser.errors == []
        expected = 1 if name == "unknown" else 0  # the browser notes the 404 itself
        assert len(browser.refusals) == expected, browser.refusals

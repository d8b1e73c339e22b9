"""Flower's link back to the console."""

import pytest

flower_urls = pytest.importorskip("flower.urls")


def test_flowers_bar_leads_to_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent_tasks.cli.flower_link import link_to

    monkeypatch.setitem(flower_urls.settings, "template_loader", None)
    link_to('https://a.example/console?"{x}')
    code = flower_urls.settings["template_loader"].load("navbar.html").code
    assert code.count("https://a.example/console?&quot;%7Bx}") == 1
    assert "Workers" in code

"""Flower's link back to the console, in its bar of pages."""

import re
from html import escape
from pathlib import Path
from typing import Any

from tornado.template import Loader, Template

_BAR = "navbar.html"
_FIRST_LIST = re.compile(r'<ul class="[^"]*\bnavbar-nav\b[^"]*">')


class LinkedLoader(Loader):
    """Flower's own templates, its bar with one page more; the bar of a Flower that looks another way stays as it is."""

    def __init__(self, folder: str, url: str, **options: Any) -> None:
        super().__init__(folder, **options)
        self._url = escape(url.replace("{", "%7B"))

    def _create_template(self, name: str) -> Template:
        if name != _BAR:
            return super()._create_template(name)
        link = f'<li class="nav-item"><a class="nav-link" href="{self._url}">Console</a></li>'
        text = (Path(self.root) / name).read_text(encoding="utf-8")
        return Template(_FIRST_LIST.sub(lambda found: found[0] + link, text, count=1), name=name, loader=self)


def link_to(url: str) -> None:
    """Give the Flower that this process is about to start a link to `url`."""
    from flower import urls

    settings: dict[str, Any] = urls.settings  # pyright: ignore[reportAssignmentType]
    settings["template_loader"] = LinkedLoader(settings["template_path"], url)

"""A page as a visitor sees it: what is looked up for it, in the frame that all pages share."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import Response

from agent_tasks.gateway.console.answer import shown
from agent_tasks.gateway.console.navigation import NAVIGATION
from agent_tasks.gateway.console.page import Page
from agent_tasks.gateway.console.visit import Visit, admitted_of
from agent_tasks.gateway.console.visitor import Look, Visitor

_SAID = {
    "signal": "The signal was sent, and the task goes on.",
    "kept": "The signal was kept: the task takes it when it waits for it.",
    "again": "This had been sent before. Nothing was changed.",
    "cancel": "The task and all below it are being cancelled.",
    "resume": "This is a new task, which goes on from where the other one ended.",
    "acknowledge": "The result counts as taken.",
    "pause": "The task and all below it are paused. A step that runs comes to its end.",
    "unpause": "The task goes on, unless another pause holds for it.",
    "pause_all": "It is paused. Steps that run come to their ends.",
    "unpause_all": "It goes on, unless another pause holds for it.",
    "submit": "The task was submitted.",
    "unschedule": "The schedule was deleted. Tasks that it has submitted go on.",
    "pause_schedule": "The schedule is paused.",
    "unpause_schedule": "The schedule goes on.",
    "bulk": "It was begun, and goes on without you.",
    "stop_bulk": "It is stopped. What it has done stays done.",
    "replay_range": "What is found will be delivered once more.",
    "replay": "The event will be delivered once more.",
}
"""What is said of a form that was sent, on the page that follows."""


async def page_of(page: Page, visit: Visit, status: int = 200, **more: Any) -> Response:
    """A page as the visitor sees it, with `more` in its template."""

    def look(given: Look) -> dict[str, Any]:
        return {**page.look(given), **more}

    found = await visit.look(page.operation, look)
    admitted = admitted_of(visit)
    values = {**frame(page, visit, Visitor.of(admitted.caller)), **found, "form_token": visit.form_token()}
    return shown(page.name, values, status, admitted.headers)


def frame(page: Page, visit: Visit, visitor: Visitor) -> dict[str, Any]:
    """What is around a page."""
    path = f"{visit.base}{page.path.format(**visit.path)}"
    asked = {name: visit.query[name] for name in page.reads if name in visit.query}
    flower = visit.gate.settings.flower_url
    return {
        "base": visit.base,
        "page": page.name,
        "here": _address(path, asked),
        "at": partial(_address, path, asked),
        "live_url": _address(f"{path}/live", asked) if page.is_live else "",
        "navigation": [each for each in NAVIGATION if visitor.may(each[2])],
        "visitor": visitor,
        "flower_url": flower if visitor.sees_all else None,
        "said": _SAID.get((visit.query.get("said") or [""])[0], ""),
        "problem": None,
        "given": {},
    }


def _address(path: str, asked: Mapping[str, Sequence[str]], **other: object) -> str:
    """An address with what it asks for, and other values for some names; an empty one takes it out."""
    fields = {**{name: values[0] for name, values in asked.items()}, **other}
    query = urlencode({name: value for name, value in fields.items() if value != ""})
    return f"{path}?{query}" if query else path

"""/console: each page, as a whole and as a stream of its changes, and what is served beside pages."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from agent_tasks.gateway.console import sign_in_page, tasks_csv
from agent_tasks.gateway.console.again import is_own
from agent_tasks.gateway.console.frame import frame, page_of
from agent_tasks.gateway.console.levers import LEVERS
from agent_tasks.gateway.console.live import FORM_TOKEN, Views
from agent_tasks.gateway.console.page import Page
from agent_tasks.gateway.console.pages import PAGES
from agent_tasks.gateway.console.templates import STATIC, render_live
from agent_tasks.gateway.console.visit import Visit, admitted_of, visited
from agent_tasks.gateway.console.visitor import Look, Visitor
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages.route import find
from agent_tasks.task.arguments import as_uuid

_FILES = {
    "console.css": "text/css",
    "uPlot.min.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "hx-sse.min.js": "text/javascript",
    "uPlot.iife.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def router() -> APIRouter:
    """The routes of the console."""
    made = APIRouter(prefix="/console", include_in_schema=False)
    made.add_api_route("/static/{name}", _static, methods=["GET"], name="console_static")
    made.add_api_route("/tasks.csv", visited(tasks_csv.answer), methods=["GET"], name="console_csv")
    sign_in_page.add_to(made)
    for page in PAGES:
        if page.is_live:
            made.add_api_route(
                f"{page.path}/live", visited(partial(_live, page)), methods=["GET"], name=f"console_{page.name}_live"
            )
    for page in PAGES:
        made.add_api_route(page.path, visited(partial(_whole, page)), methods=["GET"], name=f"console_{page.name}")
    for path, name, act in LEVERS:
        made.add_api_route(path, visited(act), methods=["POST"], name=f"console_{name}")
    made.add_api_route("/{rest:path}", visited(_nothing), methods=["GET", "POST"], name="console_nothing")
    return made


async def _whole(page: Page, visit: Visit) -> Response:
    if page.operation.writes and is_own(visit.request) is False:  # no link of another site makes an entry of the audit
        return visit.to(f"/tasks/{visit.path['id']}")
    return await page_of(page, visit)


async def _live(page: Page, visit: Visit) -> Response:
    """A stream of the page: its changing part, whenever that has changed."""
    await visit.look(page.operation, partial(_check, page))  # who may not see it is told before the stream begins
    caller = admitted_of(visit).caller
    visitor = Visitor.of(caller)
    path = visit.path
    query = {name: visit.query[name] for name in page.reads if name in visit.query}
    around = {**frame(page, visit, visitor), "form_token": FORM_TOKEN}

    def make() -> str:
        return render_live(page.name, {**around, **page.look(Look(visit.gate, caller, path, query))})

    views: Views = visit.request.app.state.views
    views.check_room(visit.session)
    task_id: UUID | None = as_uuid(path["id"]) if page.is_of_task else None
    pieces = views.pieces(
        (page.name, tuple(path.items()), tuple((name, query[name][0]) for name in query), visitor, visit.base),
        make,
        task_id=task_id,
        tenant=visitor.tenant,
        session=visit.session,
        form_token=visit.form_token(),
        seen=visit.request.headers.get("last-event-id", ""),
    )
    return StreamingResponse(pieces, media_type="text/event-stream", headers=_STREAM)


def _check(page: Page, look: Look) -> None:
    """Raise TaskNotFound where the page is of a task that is not for the visitor."""
    if page.is_of_task:
        find(look.gate, look.caller, look.path["id"]).stored()


async def _nothing(visit: Visit) -> Response:
    """The page for a path that leads nowhere, or to what only a form is sent to."""
    if not visit.path["rest"]:
        return visit.to("")
    raise Refused(404, "not_found", "There is no such page", "The address leads nowhere in the console.")


async def _static(request: Request, name: str) -> Response:
    if name not in _FILES:
        return Response("There is no such file.", 404, media_type="text/plain")
    age = 31_536_000 if "v" in request.query_params else 3600
    head = {"Cache-Control": f"public, max-age={age}", "X-Content-Type-Options": "nosniff"}
    return FileResponse(STATIC / name, media_type=_FILES[name], headers=head)

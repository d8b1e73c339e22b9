"""The admin: tasks, their trees, what they wait for and their history, to be looked at."""

import json
import re
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connections, router
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Left
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from agent_tasks.contrib.django.models import Call, Checkpoint, Event, Pause, Signal, Task
from agent_tasks.store.queries.pauses import OF_TASKS
from agent_tasks.task.paused import Paused

_MOST_PAGES_OF = 10_000
_MOST_LINKS = 100
_LONGEST = 10_000
_INDEXED = 256
"""How much of a session's name the index has."""
_HIDDEN = "hidden: the task is sensitive"
_KINDS = ("signal", "timer", "children", "retry")


class _Pages(Paginator):
    """Pages of the first rows: counting them all takes long where there are millions."""

    @cached_property
    def count(self) -> int:
        return self.object_list[:_MOST_PAGES_OF].count()


class _ReadOnly(admin.ModelAdmin):
    paginator = _Pages
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False


class _WaitingFor(admin.SimpleListFilter):
    title = "waiting for"
    parameter_name = "waiting"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in _KINDS]

    def queryset(self, request: Any, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        kind = self.value()
        return queryset.filter(status="waiting", waiting_for__kind=kind) if kind in _KINDS else queryset


class _Open(admin.SimpleListFilter):
    title = "end"
    parameter_name = "ended"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "has not ended"), ("yes", "has ended")]

    def queryset(self, request: Any, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() not in ("no", "yes"):
            return queryset
        return queryset.filter(finished_at__isnull=self.value() == "no")


class _Over(admin.SimpleListFilter):
    title = "end"
    parameter_name = "over"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "holds"), ("yes", "has ended")]

    def queryset(self, request: Any, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(ended_at__isnull=self.value() == "no") if self.value() in ("no", "yes") else queryset


@admin.register(Task)
class TaskAdmin(_ReadOnly):
    """The tasks, the newest first."""

    list_display = ("id", "agent", "status", "step", "waits_for", "parent_link", "tenant", "created_at", "finished_at")
    list_filter = ("status", _WaitingFor, _Open)
    search_fields = ("id",)
    search_help_text = "The id of a task, or its beginning; an agent; or a session."
    ordering = ("-id",)
    list_select_related: ClassVar = []
    fieldsets = (
        (
            None,
            {"fields": ("id", "agent", "status", "waits_for", "paused", "current_step", "queue", "priority", "worker")},
        ),
        ("Tree", {"fields": ("parent_link", "root_link", "resumed_from_link", "children_links")}),
        ("History", {"fields": ("events_link", "checkpoints_link", "calls_link", "signals_link")}),
        ("For whom", {"fields": ("tenant", "shown_identity", "session_id", "shown_metadata", "traceparent")}),
        (
            "Payloads",
            {
                "fields": (
                    *(f"shown_{name}" for name in ("input", "result", "error", "partial", "progress")),
                    "sensitive",
                )
            },
        ),
        ("Spent", {"fields": ("spent_seconds", "spent_tokens", "usd", "spent_steps", "spent_calls")}),
        ("Times", {"fields": ("created_at", "started_at", "due_at", "finished_at")}),
    )

    def get_queryset(self, request: Any) -> "QuerySet[Any]":
        return super().get_queryset(request).defer("traceback")

    def lookup_allowed(self, lookup: str, value: Any, *rest: Any) -> bool:
        """Allow what the links of a task lead to."""
        return lookup in ("parent__id__exact", "root__id__exact", "resumed_from__id__exact", "agent__exact") or (
            super().lookup_allowed(lookup, value, *rest)
        )

    def get_search_results(self, request: Any, queryset: "QuerySet[Any]", search_term: str) -> "tuple[Any, bool]":
        """Find an id or its beginning, else an agent or a session, each by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        digits = re.sub("-", "", term.lower())
        if re.fullmatch("[0-9a-f]{8,32}", digits):
            first, last = (UUID(digits.ljust(32, filler)) for filler in "0f")
            return queryset.filter(id__gte=first, id__lte=last), False
        by_session = queryset.alias(beginning=Left(F("session_id"), Value(_INDEXED))).filter(
            beginning=term[:_INDEXED], session_id=term
        )
        return (by_session if by_session.exists() else queryset.filter(agent=term)), False

    @admin.display(description="waits for")
    def waits_for(self, task: Task) -> str:
        """Say what the task waits for, since when and until when."""
        waiting: Any = task.waiting_for
        if not waiting:
            return "-"
        until = f", until {waiting['until']}" if waiting.get("until") else ""
        return f"{waiting['kind']} {waiting.get('name') or ''}, since {waiting['since']}{until}"

    @admin.display(description="paused")
    def paused(self, task: Task) -> str:
        """Say what is paused that the task is of, since when, by whom and why."""
        with connections[router.db_for_read(Task)].cursor() as cursor:
            cursor.execute(OF_TASKS, {"ids": [task.pk]})
            row = cursor.fetchone()
            if row is None:
                return "-"
            found = dict(zip((column.name for column in cursor.description), row, strict=True))
        return Paused(
            kind=found["kind"], name=found["name"], since=found["began_at"], by=found["by"], reason=found["reason"]
        ).message

    @admin.display(description="step")
    def current_step(self, task: Task) -> str:
        """Name the step with its number and its try."""
        return f"{task.step} (number {task.step_number}, attempt {task.attempt})"

    @admin.display(description="parent")
    def parent_link(self, task: Task) -> str:
        """Link to the task that spawned this one."""
        return _link(task.parent_id)

    @admin.display(description="tree")
    def root_link(self, task: Task) -> str:
        """Link to the root, and to all tasks below it."""
        return format_html(
            '{} · <a href="{}?root__id__exact={}">all of the tree</a>', _link(task.root_id), _list(Task), task.root_id
        )

    @admin.display(description="resumed from")
    def resumed_from_link(self, task: Task) -> str:
        """Link to the task that this one goes on from."""
        return _link(task.resumed_from_id)

    @admin.display(description="children")
    def children_links(self, task: Task) -> str:
        """Link to each child, with its agent and status."""
        children = Task.objects.filter(parent_id=task.pk).order_by("parent_step", "child_index")
        found = list(children.values_list("id", "agent", "status")[: _MOST_LINKS + 1])
        links = format_html_join(
            "", "<li>{} {}: {}</li>", ((_link(id), agent, status) for id, agent, status in found[:_MOST_LINKS])
        )
        if len(found) > _MOST_LINKS:
            more = format_html('<a href="{}?parent__id__exact={}">all children</a>', _list(Task), task.pk)
            return format_html("<ul>{}<li>{}</li></ul>", links, more)
        return format_html("<ul>{}</ul>", links) if found else "-"

    @admin.display(description="events")
    def events_link(self, task: Task) -> str:
        """Link to the task's events."""
        return _part(Event, task, "the events")

    @admin.display(description="checkpoints")
    def checkpoints_link(self, task: Task) -> str:
        """Link to the task's committed steps."""
        return _part(Checkpoint, task, "the steps that have committed")

    @admin.display(description="calls")
    def calls_link(self, task: Task) -> str:
        """Link to the task's recorded calls."""
        return _part(Call, task, "the recorded calls")

    @admin.display(description="signals")
    def signals_link(self, task: Task) -> str:
        """Link to the signals that the task was sent."""
        return _part(Signal, task, "the signals")

    @admin.display(description="spent usd")
    def usd(self, task: Task) -> str:
        """Show the dollars without trailing zeros."""
        return f"{task.spent_usd.normalize():f}"

    @admin.display(description="identity")
    def shown_identity(self, task: Task) -> str:
        """Show for whom the task runs."""
        return _shown(task.identity)

    @admin.display(description="metadata")
    def shown_metadata(self, task: Task) -> str:
        """Show what the task was submitted with, unless it is sensitive."""
        return _payload(task, task.metadata)

    @admin.display(description="input")
    def shown_input(self, task: Task) -> str:
        """Show the input, unless the task is sensitive."""
        return _payload(task, task.input)

    @admin.display(description="result")
    def shown_result(self, task: Task) -> str:
        """Show the result, unless the task is sensitive."""
        return _payload(task, task.result)

    @admin.display(description="error")
    def shown_error(self, task: Task) -> str:
        """Show the error, unless the task is sensitive: then its type alone."""
        return (
            _payload(task, task.error) if not task.sensitive or not task.error else str(task.error.get("type", _HIDDEN))
        )

    @admin.display(description="partial result")
    def shown_partial(self, task: Task) -> str:
        """Show the partial result, unless the task is sensitive."""
        return _payload(task, task.partial)

    @admin.display(description="progress")
    def shown_progress(self, task: Task) -> str:
        """Show the progress, unless the task is sensitive."""
        return _payload(task, task.progress)


class _OfTask(_ReadOnly):
    """The rows of one task: its page links here, and nothing else does."""

    list_display_links = None

    def get_urls(self) -> list[URLPattern]:
        """Return the list's alone: a row has no key by which a page of its own could be found."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return [path("", self.admin_site.admin_view(self.changelist_view), name=name)]

    def get_model_perms(self, request: Any) -> dict[str, bool]:
        """Keep it out of the index, where no task is named."""
        return {}

    def get_queryset(self, request: Any) -> "QuerySet[Any]":
        """Return the rows of the task in the address; none without one."""
        found = super().get_queryset(request)
        return found.select_related("task") if "task__id__exact" in request.GET else found.none()

    def lookup_allowed(self, lookup: str, value: Any, *rest: Any) -> bool:
        """Allow the task in the address."""
        return lookup == "task__id__exact"

    @admin.display(description="task")
    def task_link(self, row: Any) -> str:
        """Link to the task."""
        return _link(row.task_id)


@admin.register(Event)
class EventAdmin(_OfTask):
    """The history of a task."""

    list_display = ("seq", "type", "shown_data", "at", "task_link")
    ordering = ("seq",)

    @admin.display(description="data")
    def shown_data(self, event: Event) -> str:
        """Show what the event says, unless the task is sensitive."""
        return _payload(event.task, event.data)


@admin.register(Checkpoint)
class CheckpointAdmin(_OfTask):
    """The steps of a task that have committed."""

    list_display = ("step_number", "step", "next_step", "shown_state", "seconds", "committed_at", "task_link")
    ordering = ("step_number",)

    @admin.display(description="arguments of the next step")
    def shown_state(self, checkpoint: Checkpoint) -> str:
        """Show what the next step was given, unless the task is sensitive."""
        return _payload(checkpoint.task, checkpoint.state)


@admin.register(Call)
class CallAdmin(_OfTask):
    """The recorded calls of a task."""

    list_display = ("step_number", "ordinal", "name", "status", "attempts", "shown_outcome", "started_at", "task_link")
    ordering = ("step_number", "ordinal")

    @admin.display(description="outcome")
    def shown_outcome(self, call: Call) -> str:
        """Show what came of the call, unless the task is sensitive."""
        return _payload(call.task, call.outcome)


@admin.register(Signal)
class SignalAdmin(_OfTask):
    """The signals that a task was sent."""

    list_display = ("seq", "name", "shown_payload", "sent_at", "consumed_step", "task_link")
    ordering = ("seq",)

    @admin.display(description="payload")
    def shown_payload(self, signal: Signal) -> str:
        """Show what the signal brought, unless the task is sensitive."""
        return _payload(signal.task, signal.payload)


@admin.register(Pause)
class PauseAdmin(_ReadOnly):
    """The pauses, the newest first."""

    list_display = ("kind", "name", "tenant", "by", "reason", "began_at", "ended_at", "task_link")
    list_display_links = None
    list_filter = ("kind", _Over)
    ordering = ("-id",)

    @admin.display(description="task")
    def task_link(self, pause: Pause) -> str:
        """Link to the task that is paused, if it is one."""
        return _link(pause.task_id)  # type: ignore[attr-defined]


def _list(model: Any) -> str:
    return reverse(f"admin:agent_tasks_{model._meta.model_name}_changelist")


def _link(id: UUID | None) -> str:
    if id is None:
        return "-"
    return format_html('<a href="{}">{}</a>', reverse("admin:agent_tasks_task_change", args=[id]), id)


def _part(model: Any, task: Task, text: str) -> SafeString:
    return format_html('<a href="{}?task__id__exact={}">{}</a>', _list(model), task.pk, text)


def _payload(task: Task, value: Any) -> str:
    return _HIDDEN if task.sensitive and value is not None else _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return format_html("<pre>{}</pre>", text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")

"""Sending: the spans of submitted tasks, which are known before the commit and written after it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from agent_tasks.tracing.spans import Spans, new_below, now
from agent_tasks.transitions.submit import NewTask


class Sending:
    """Puts a span `send <agent>` between each task and its caller, if spans are written here."""

    def __init__(self, spans: Spans, tasks: Sequence[NewTask]) -> None:
        self._spans = spans
        self._began = now()
        self._above: dict[UUID, tuple[NewTask, str | None]] = {}
        if spans.are_written:
            tasks = [self._sent(task) for task in tasks]
        self.tasks = tasks

    def written(self, ids: Iterable[UUID]) -> None:
        """Write the spans of these tasks, which have been accepted."""
        for id in ids if self._above else ():
            task, parent = self._above[id]
            assert task.traceparent is not None
            assert task.parent_span is not None
            self._spans.write(
                f"send {task.agent}",
                f"{task.traceparent[:36]}{task.parent_span}{task.traceparent[52:]}",
                parent,
                began=self._began,
                ended=now(),
                kind="PRODUCER",
                attributes={
                    "agent_tasks.task.id": str(id),
                    "gen_ai.agent.name": task.agent,
                    "gen_ai.conversation.id": task.session_id,
                    "agent_tasks.tenant": (task.identity and task.identity.tenant) or None,
                    "messaging.operation.type": "send",
                    "messaging.destination.name": task.queue,
                },
            )

    def _sent(self, task: NewTask) -> NewTask:
        if task.traceparent is None:
            return task
        traceparent, above = task.traceparent, task.parent_span
        if above is None and not self._spans.is_sampled(traceparent, f"send {task.agent}"):
            traceparent = f"{traceparent[:53]}00"
        sent = replace(task, traceparent=traceparent, parent_span=new_below(traceparent)[36:52])
        self._above[task.id] = sent, above
        return sent

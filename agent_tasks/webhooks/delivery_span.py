"""The span of an attempt to deliver a webhook: in the trace of its task, and linked to the task's own span."""

from urllib.parse import urlsplit

from agent_tasks.task.row import TaskRow
from agent_tasks.task.trace import own_and_parent
from agent_tasks.tracing.spans import Failure, Spans, described, new_below, now
from agent_tasks.transitions.delivery import Claimed


class DeliverySpan:
    """One attempt, as it is traced; its receiver is sent the traceparent."""

    def __init__(self, spans: Spans, claimed: Claimed, row: TaskRow, task: str) -> None:
        """`task`: the traceparent of the task."""
        self.traceparent = new_below(task)
        self._spans = spans
        self._claimed = claimed
        self._row = row
        self._task = task
        self._began = now()

    @classmethod
    def of(cls, spans: Spans, claimed: Claimed, row: TaskRow) -> "DeliverySpan | None":
        if row["traceparent"] is None:
            return None
        return cls(spans, claimed, row, own_and_parent(row["id"], row["traceparent"], None)[0])

    def end(self, status: int | None) -> None:
        """Write it; `status` is that of the answer, None where there was none."""
        claimed, url = self._claimed, urlsplit(self._claimed["url"])
        accepted = status is not None and 200 <= status < 300
        self._spans.write(
            f"webhook {claimed['type']}",
            self.traceparent,
            self._task[36:52],
            began=self._began,
            ended=now(),
            kind="CLIENT",
            links=[self._task],
            attributes={
                **described(self._row),
                "agent_tasks.webhook.type": claimed["type"],
                "agent_tasks.webhook.delivery": str(claimed["id"]),
                "agent_tasks.webhook.attempt": claimed["attempt"],
                "http.request.method": "POST",
                "http.response.status_code": status,
                "server.address": url.hostname,
                "server.port": url.port,
            },
            failure=None if accepted else Failure("no_answer" if status is None else str(status)),
        )

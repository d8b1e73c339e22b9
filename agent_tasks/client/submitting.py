"""Submitting: one task or many, at once or as a part of a caller's transaction."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Unpack

from agent_tasks.authoring.agent import Agent
from agent_tasks.client.accepting import Accepting, Given
from agent_tasks.client.callers_connection import driver_connection
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.submission import SubmitOptions, TaskInput, digests
from agent_tasks.task.arguments import refused
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity


class Submitting(Accepting):
    """The part of `AgentTasks` that submits."""

    def submit(
        self,
        agent: str | Agent,
        input: TaskInput = None,
        *,
        budget: Budget | None = None,
        identity: Identity | None = None,
        idempotency_key: str | None = None,
        session_id: str | None = None,
        callback_url: str | None = None,
        queue: str | None = None,
        priority: int = 5,
        ttl: float | None = None,
        metadata: dict[str, Any] | None = None,
        traceparent: str | None = None,
        connection: Any = None,
    ) -> TaskHandle:
        """Accept a task and return its handle at once.

        `input` holds the arguments of the agent's first step. `budget` overrides the agent's own, field by
        field. `priority` is 0 to 9, where 9 is the most urgent. `ttl` is seconds. `idempotency_key` is kept for 24
        hours per tenant and subject: the same key and request return the same task. `traceparent` (W3C Trace
        Context) is the span that the task's own is below: by default the current one of OpenTelemetry, else none.
        `connection` (SQLAlchemy Connection or Session, or psycopg; in `aio` their async kinds, too) makes the submit
        part of the caller's own transaction. `callback_url` is told when the task begins to wait for a signal or a
        timer, and when it ends: https or http, on the public internet.

        Raises UnknownAgent, InvalidInput, PayloadTooLarge, IdempotencyConflict, PermissionDenied for an identity that
        lacks the agent's scopes, and a psycopg.OperationalError (ServerAway) when Postgres is away. When Redis is away
        the task is accepted, and runs once Redis is back.
        """
        write = self.prepared(
            agent,
            input,
            budget=budget,
            identity=identity,
            idempotency_key=idempotency_key,
            session_id=session_id,
            callback_url=callback_url,
            queue=queue,
            priority=priority,
            ttl=ttl,
            metadata=metadata,
            traceparent=traceparent,
        )
        return write(None if connection is None else driver_connection(connection))

    def prepared(
        self,
        agent: str | Agent,
        input: TaskInput = None,
        *,
        budget: Budget | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Callable[[Given], TaskHandle]:
        """Do the part of a submit that needs no transaction; the function returned writes it, in the given one if any.

        Raises what `submit` raises of a request.
        """
        task = self.new_task(self.find_target(agent), input, budget, **options)
        if idempotency_key is not None:
            return partial(self._submit_once, task, digests(task, input), idempotency_key)
        return lambda connection: self._handle(task.id, self._write(connection, [task], self._insert)[0])

    def submit_many(
        self,
        agent: str | Agent,
        inputs: Iterable[TaskInput],
        *,
        budget: Budget | None = None,
        connection: Any = None,
        **options: Unpack[SubmitOptions],
    ) -> list[TaskHandle]:
        """Accept a task for each input, all or none, in one statement; otherwise as `submit`, without keys."""
        write = self.prepared_many(agent, inputs, budget=budget, **options)
        return write(None if connection is None else driver_connection(connection))

    def prepared_many(
        self, agent: str | Agent, inputs: Iterable[TaskInput], *, budget: Budget | None = None, **options: Any
    ) -> Callable[[Given], list[TaskHandle]]:
        """Do the part of a submit of many that needs no transaction, as `prepared` does."""
        target = self.find_target(agent)
        if not isinstance(inputs, Iterable) or isinstance(inputs, str | bytes | Mapping):  # pyright: ignore
            raise refused("inputs must be a list of inputs, each a mapping", inputs, "inputs")
        tasks = [self.new_task(target, value, budget, **options) for value in inputs]

        def write(connection: Given) -> list[TaskHandle]:
            rows = self._write(connection, tasks, self._insert) if tasks else []
            by_id = {row["id"]: row for row in rows}
            return [self._handle(task.id, by_id[task.id]) for task in tasks]

        return write

"""TaskHandler: the protocol's operations over the tasks of a deployment. It holds no task, and no agent runs in it."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic
from typing import Any, TypeVar, cast

from a2a.server.context import ServerCallContext
from a2a.server.events.event_queue import Event
from a2a.server.request_handlers.request_handler import RequestHandler, validate_request_params
from a2a.types import a2a_pb2 as a2a
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError
from a2a.utils.task import validate_history_length

from agent_tasks.client import pushes
from agent_tasks.client.handle import TaskHandle
from agent_tasks.gateway.a2a.call import A2A, Call, call_of
from agent_tasks.gateway.a2a.cards import Cards
from agent_tasks.gateway.a2a.history import history_of
from agent_tasks.gateway.a2a.incoming import read_message
from agent_tasks.gateway.a2a.listing import list_tasks
from agent_tasks.gateway.a2a.pushing import config_of, row_of
from agent_tasks.gateway.a2a.sending import Sending, Sent
from agent_tasks.gateway.a2a.skills import SkillReader
from agent_tasks.gateway.a2a.streams import TaskStream
from agent_tasks.gateway.a2a.tasks import awaits_client, result_message, task_of
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.known_keys import FRESH_SECONDS
from agent_tasks.gateway.patience import client_gone, looks_until_end
from agent_tasks.gateway.stages.authenticate import authenticate
from agent_tasks.gateway.stages.route import find
from agent_tasks.store.queries import read
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

_NO_CONFIG = "The task has no such push notification config."
F = TypeVar("F", bound=Callable[..., Any])


def answering(method: F) -> F:
    """Have a method's errors be the protocol's."""

    @functools.wraps(method)
    async def answered(self: "TaskHandler", params: Any, context: ServerCallContext) -> Any:
        try:
            return await method(self, params, context)
        except Exception as error:
            raise call_of(context).failure(error) from error

    return cast(F, answered)


def answering_stream(method: F) -> F:
    """Have the errors of a method that streams be the protocol's."""

    @functools.wraps(method)
    async def answered(self: "TaskHandler", params: Any, context: ServerCallContext) -> AsyncGenerator[Event]:
        try:
            async with aclosing(method(self, params, context)) as events:
                async for event in events:
                    yield event
        except Exception as error:
            raise call_of(context).failure(error) from error

    return cast(F, answered)


class TaskHandler(RequestHandler):
    """Serves one deployment. What it keeps, what agents say of themselves, is a second old at most."""

    def __init__(self, gate: Gate, skills: SkillReader, cards: Cards) -> None:
        self._gate = gate
        self._skills = skills
        self._cards = cards
        self._sending = Sending(skills)

    @answering
    @validate_request_params
    async def on_message_send(
        self, params: a2a.SendMessageRequest, context: ServerCallContext
    ) -> a2a.Task | a2a.Message:
        """Begin a task, or send a signal to one; answer with its end or its question, or at once."""
        call, is_waiting = call_of(context), not params.configuration.return_immediately
        async with call.following(is_waiting):
            sent = await self._send(call, params)
            seen = await _until_rest(call, sent.task, sent.seen) if is_waiting else sent.seen
        is_message = sent.skill is not None and sent.skill.reply == "message"
        if is_waiting and is_message and seen.status is TaskStatus.COMPLETED:
            return result_message(seen)
        return await self._as_task_in_thread(seen, length_of(params.configuration))

    @answering
    @validate_request_params
    async def on_get_task(self, params: a2a.GetTaskRequest, context: ServerCallContext) -> a2a.Task:
        """A task as it stands."""
        validate_history_length(params)

        def look(caller: Caller) -> a2a.Task:
            return self._as_task(self._seen(find(self._gate, caller, params.id)), length_of(params))

        return await call_of(context).perform(look)

    @answering
    @validate_request_params
    async def on_list_tasks(self, params: a2a.ListTasksRequest, context: ServerCallContext) -> a2a.ListTasksResponse:
        """A page of the tasks that the caller may see."""
        validate_history_length(params)

        def look(caller: Caller) -> a2a.ListTasksResponse:
            return list_tasks(self._gate.client, self._skills.read(), params, caller)

        return await call_of(context).perform(look)

    @answering
    @validate_request_params
    async def on_cancel_task(self, params: a2a.CancelTaskRequest, context: ServerCallContext) -> a2a.Task:
        """End a task and all below it."""

        def cancel(caller: Caller) -> a2a.Task:
            task = find(self._gate, caller, params.id)
            seen = self._seen(task)
            if not seen.status.is_terminal:
                seen = task.cancel("cancelled over A2A")
                if seen.status is TaskStatus.CANCELLED or not seen.status.is_terminal:
                    return self._as_task(seen, None)
            raise TaskNotCancelableError(f"Task {seen.id} has ended as {seen.status}: it cannot be cancelled any more.")

        return await call_of(context).perform(cancel)

    @answering
    @validate_request_params
    async def on_get_extended_agent_card(
        self, params: a2a.GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> a2a.AgentCard:
        """The card with all skills that the caller may run."""
        return await call_of(context).perform(self._cards.extended)

    @answering_stream
    @validate_request_params
    async def on_message_send_stream(
        self, params: a2a.SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """Begin a task, or send a signal to one; tell what becomes of it, to its end or its question."""
        call = call_of(context)
        async with call.following():
            sent = await self._send(call, params)
            if sent.skill is not None and sent.skill.reply == "message":
                seen = await _until_rest(call, sent.task, sent.seen)
                yield (
                    result_message(seen) if seen.status is TaskStatus.COMPLETED else await self._as_task_in_thread(seen)
                )
                return
            yield await self._as_task_in_thread(sent.seen, length_of(params.configuration))
            if awaits_client(sent.seen):
                return
            async with aclosing(TaskStream(call, self._skills, sent.task, sent.seen, sent.after).updates()) as updates:
                async for update in updates:
                    yield update

    @answering_stream
    @validate_request_params
    async def on_subscribe_to_task(
        self, params: a2a.SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """Tell what becomes of a task from here on, to its end or its next question."""
        call = call_of(context)

        def look(caller: Caller) -> tuple[TaskHandle, TaskSnapshot, int]:
            task = find(self._gate, caller, params.id)
            self._seen(task)
            with self._gate.client.database.connection() as connection:
                after = read.last_event(connection, task.id)
            return task, task.read(), after

        async with call.following():
            task, seen, after = await call.perform(look)
            if seen.status.is_terminal:
                raise UnsupportedOperationError(
                    f"Task {seen.id} has ended as {seen.status}: nothing more becomes of it."
                )
            yield await self._as_task_in_thread(seen)
            async with aclosing(TaskStream(call, self._skills, task, seen, after).updates()) as updates:
                async for update in updates:
                    yield update

    @answering
    @validate_request_params
    async def on_create_task_push_notification_config(
        self, params: a2a.TaskPushNotificationConfig, context: ServerCallContext
    ) -> a2a.TaskPushNotificationConfig:
        """Keep an address that is told of a task, or change the one of its id."""

        def put(caller: Caller) -> a2a.TaskPushNotificationConfig:
            seen = self._of_task(caller, params.task_id)
            if seen.status.is_terminal:
                raise UnsupportedOperationError(f"Task {seen.id} has ended as {seen.status}: nothing more is told.")
            row = pushes.check_push(self._gate.client, row_of(params))
            pushes.put_push(self._gate.client, seen.id, row, caller.identity)
            return config_of(str(seen.id), row, shows_secrets=True)

        return await call_of(context).perform(put)

    @answering
    @validate_request_params
    async def on_get_task_push_notification_config(
        self, params: a2a.GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> a2a.TaskPushNotificationConfig:
        """An address that is told of a task, without what it knows us by."""

        def look(caller: Caller) -> a2a.TaskPushNotificationConfig:
            seen = self._of_task(caller, params.task_id)
            for row in pushes.find_pushes(self._gate.client, seen.id):
                if row["id"] == params.id:
                    return config_of(str(seen.id), row)
            raise TaskNotFoundError(_NO_CONFIG)

        return await call_of(context).perform(look)

    @answering
    @validate_request_params
    async def on_list_task_push_notification_configs(
        self, params: a2a.ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> a2a.ListTaskPushNotificationConfigsResponse:
        """The addresses that are told of a task: so few that they are one page."""

        def look(caller: Caller) -> a2a.ListTaskPushNotificationConfigsResponse:
            seen = self._of_task(caller, params.task_id)
            rows = pushes.find_pushes(self._gate.client, seen.id)
            return a2a.ListTaskPushNotificationConfigsResponse(configs=[config_of(str(seen.id), row) for row in rows])

        return await call_of(context).perform(look)

    @answering
    @validate_request_params
    async def on_delete_task_push_notification_config(
        self, params: a2a.DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        """Remove an address; one that is not there is removed already."""

        def remove(caller: Caller) -> None:
            seen = self._of_task(caller, params.task_id)
            pushes.remove_push(self._gate.client, seen.id, params.id, caller.identity)

        await call_of(context).perform(remove)

    def _of_task(self, caller: Caller, task_id: str) -> TaskSnapshot:
        return self._seen(find(self._gate, caller, task_id))

    async def _send(self, call: Call, params: a2a.SendMessageRequest) -> Sent:
        """Begin the task, or send the signal, that a message is."""
        validate_history_length(params.configuration)

        def send(caller: Caller) -> Sent:
            asked, push = read_message(params), None
            if params.configuration.HasField("task_push_notification_config"):
                given = row_of(params.configuration.task_push_notification_config)
                push = pushes.check_push(self._gate.client, given)
            return self._sending.send(self._gate, caller, asked, push)

        return await call.perform(send)

    def _seen(self, task: TaskHandle) -> TaskSnapshot:
        """The task as it stands. Raises TaskNotFound."""
        return self._skills.read().check_shown(task.snapshot())

    async def _as_task_in_thread(self, seen: TaskSnapshot, length: int | None = None) -> a2a.Task:
        return await self._gate.in_thread(lambda _: self._as_task(seen, length))

    def _as_task(self, seen: TaskSnapshot, length: int | None) -> a2a.Task:
        found = task_of(seen, self._skills.read().by_agent.get(seen.agent))
        with self._gate.client.database.connection() as connection:
            found.history.extend(history_of(connection, seen, length))
        return found


def length_of(given: Any) -> int | None:
    """How many messages of the history are asked for; None: all."""
    return given.history_length if given.HasField("history_length") else None


async def _until_rest(call: Call, task: TaskHandle, seen: TaskSnapshot) -> TaskSnapshot:
    """The task at its end, or at its question; or as it stands when the client or the gateway goes.

    Raises Unauthenticated where the token ended meanwhile.
    """
    if awaits_client(seen):
        return seen
    began = monotonic()
    gone = asyncio.ensure_future(client_gone(call.request))
    try:
        async with aclosing(looks_until_end(call.gate, task, gone)) as looks:
            async for newer in looks:
                seen = newer
                if awaits_client(seen):
                    break
    finally:
        gone.cancel()
    if monotonic() - began > FRESH_SECONDS:
        await call.gate.in_thread(lambda gate: authenticate(gate, call.admission.arrival.token, A2A))
    return seen

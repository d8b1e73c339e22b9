"""The queues of an app that bells go to: made as the app has them, and which of them carry its own messages, too."""

import logging
from typing import Any

from agent_tasks.doorbell.refusals import Refused, of_queue

log = logging.getLogger(__name__)
_IN_USE = 406


def declare(app: Any, producer: Any, name: str) -> None:
    """Declare a queue as the app has it: to one that is not there nothing is sent.

    One that is there is used as it is, also where the app's user may not make any. Raises Refused where there is
    none, and none may be made.
    """
    known = app.amqp.Queues(app.conf.task_queues)  # to look a name up in the app's own would add it
    entity = known[name] if name in known or known.create_missing else None
    if entity is None:
        return
    try:
        with producer.connection.channel() as channel:
            entity(channel).declare()
    except Exception as error:
        code = getattr(error, "code", None) if isinstance(error, producer.connection.channel_errors) else None
        if code == _IN_USE:
            log.warning("queue %s is there with other arguments than the app has for it: %s", name, error)
        elif of_queue(error) or (code and not _is_there(producer, name)):
            raise Refused(str(error)) from error
        elif not code:
            raise


def _is_there(producer: Any, name: str) -> bool:
    with producer.connection.channel() as channel:
        try:
            channel.queue_declare(queue=name, passive=True)
        except producer.connection.channel_errors:
            return False
    return True


def shared_queues(app: Any) -> frozenset[str]:
    """Return the queues that a team's app names for its own: in these other messages than bells may wait."""
    named: set[Any] = {app.conf.task_default_queue, *app.amqp.Queues(app.conf.task_queues)}
    for router in app.amqp.router.routes:
        for route in (*getattr(router, "map", {}).values(), *getattr(router, "patterns", {}).values()):
            named.add(route if isinstance(route, str) else dict(route or {}).get("queue"))
    return frozenset(str(getattr(queue, "name", queue)) for queue in named if queue)

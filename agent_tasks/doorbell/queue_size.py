"""How many messages wait in a queue, as far as its broker can say."""

from typing import Any

from kombu.transport import virtual

from agent_tasks.doorbell.refusals import of_queue

_NOT_FOUND = 404


def queue_size(producer: Any, queue: str) -> int | None:
    """Return how many messages no worker has taken yet, by one of kombu's producers; None if its transport cannot say,
    or it is refused.

    Raises what the transport does where the broker is away.
    """
    channel = producer.channel
    if isinstance(channel, virtual.Channel):
        channel_type: Any = type(channel)
        abstract: Any = virtual.AbstractChannel  # whose answer is 0 for every queue
        try:
            return None if channel_type._size is abstract._size else int(channel_type._size(channel, queue))
        except Exception as error:
            if not of_queue(error):
                raise
            return None
    with producer.connection.channel() as asked:  # one of its own: a queue that is not there ends it
        try:
            return int(asked.queue_declare(queue=queue, passive=True).message_count)
        except producer.connection.channel_errors as error:
            return 0 if getattr(error, "code", None) == _NOT_FOUND else None

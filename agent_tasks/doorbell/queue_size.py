"""How many messages wait in a queue, as far as its broker can say."""

from typing import Any

from kombu.transport import virtual

_NOT_FOUND = 404


def queue_size(producer: Any, queue: str) -> int | None:
    """Return how many messages no worker has taken yet, by one of kombu's producers; None if its transport cannot say.

    Raises what the transport does where the broker is away.
    """
    channel = producer.channel
    if isinstance(channel, virtual.Channel):
        channel_type: Any = type(channel)
        abstract: Any = virtual.AbstractChannel  # whose answer is 0 for every queue
        return None if channel_type._size is abstract._size else int(channel_type._size(channel, queue))
    with producer.connection.channel() as asked:  # one of its own: a queue that is not there ends it
        try:
            return int(asked.queue_declare(queue=queue, passive=True).message_count)
        except producer.connection.channel_errors as error:
            if getattr(error, "code", None) != _NOT_FOUND:
                raise
            return 0

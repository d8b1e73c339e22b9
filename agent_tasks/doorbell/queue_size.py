"""How many messages wait in a queue, as far as its broker can say."""

from typing import Any

from kombu.transport import virtual


def queue_size(channel: Any, queue: str) -> int | None:
    """Return how many messages no worker has taken yet; None where the transport cannot say.

    `channel` is one of kombu's. One of AMQP is of no more use where it has raised: a queue that is not there ends it.
    """
    if isinstance(channel, virtual.Channel):
        channel_type: Any = type(channel)
        abstract: Any = virtual.AbstractChannel  # whose answer is 0 for every queue
        return None if channel_type._size is abstract._size else int(channel_type._size(channel, queue))
    return int(channel.queue_declare(queue=queue, passive=True).message_count)

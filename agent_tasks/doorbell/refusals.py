"""What a broker refuses for one queue alone, be it its name or the rights of its user: the others go on."""

from agent_tasks.doorbell.redis_url import is_refused

_OF_SQS = ("ClientError", "UndefinedQueueException", "DoesNotExistQueueException", "AccessDeniedQueueException")
"""Names, since what they are of is not there without the broker."""


class Refused(Exception):
    """The broker's answer about one queue, which says nothing about the others. Its cause is the answer."""


def of_queue(error: Exception) -> bool:
    """Whether an error, met as a queue of a broker with one answer to each request was used, is about that queue."""
    return is_refused(error) or any(kind.__name__ in _OF_SQS for kind in type(error).__mro__)

"""CeleryTask: what a type checker sees of a task of a Celery app, where the app's tasks are typed."""

from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class CeleryTask(Protocol[P, R]):
    """A task as celery-types declares it: called as its function is."""

    @property
    def name(self) -> str: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

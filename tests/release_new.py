"""The agents of `tests.release_old`: one with an argument more, one with other names."""

from typing import Any

from agent_tasks import Agent, SyncContext, Wait

grows = Agent("grows")


@grows.step
def begin(ctx: SyncContext, to: str, by: str = "us") -> Wait:
    return Wait("go", then=finish, to=to, by=by)


@grows.step
def finish(ctx: SyncContext, to: str, by: str) -> str:
    return f"hello {to} from {by}"


def take_back(ctx: SyncContext, person: str, box: int) -> None:
    ctx.emit("sent_back", {"to": person, "box": box})


def with_person(state: dict[str, Any]) -> dict[str, Any]:
    return {"person" if name == "who" else name: value for name, value in state.items()}


moves = Agent("moves")


@moves.step(was=["pack"], undo=take_back, migrate_state=with_person)
def wrap(ctx: SyncContext, person: str) -> Wait:
    return Wait("go", then=bring, person=person, box=7)


@moves.step(was=["carry"], migrate_state=with_person)
def bring(ctx: SyncContext, person: str, box: int) -> str:
    return f"{person} was brought {box}"

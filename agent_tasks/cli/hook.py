"""`agent-tasks hook`: look at what the URL of a hook asks for, or answer it."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, read_json

if TYPE_CHECKING:
    from agent_tasks.client.hooks import HookInfo


def hook(
    url: Annotated[str, typer.Argument(metavar="URL", help="As ctx.hook has returned it, or the token at its end.")],
    answer: Annotated[
        str | None, typer.Argument(metavar="[JSON|@FILE|-]", help="The answer. Without one, shows what is asked.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Sending it again with the same key has no effect.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at what a hook asks for, which changes nothing, or answer it."""
    if answer is None:
        with deployment() as client:
            asked = client.hook(url)
        typer.echo(asked.model_dump_json(indent=2) if as_json else _described(asked))
        return
    payload = read_json(answer, "answer")
    with deployment() as client:
        receipt = client.answer_hook(url, payload, key=key)
    if as_json:
        typer.echo(receipt.model_dump_json(indent=2))
    else:
        typer.echo("The task goes on." if receipt.delivered else "The answer is kept until the task waits for it.")


def _described(asked: "HookInfo") -> str:
    from agent_tasks.cli.text import printable

    waits = f"waits since {asked.since:%Y-%m-%d %H:%M:%S %Z}" if asked.since else "does not wait for it now"
    until = f"until {asked.until:%Y-%m-%d %H:%M:%S %Z}" if asked.until else "until the task ends"
    return f"{asked.agent} asks for {printable(asked.signal)}: it {waits}. Open {until}."

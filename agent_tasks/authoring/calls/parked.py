"""StepParked: what ends the code of a step that only waits, and that runs again when it need not any more."""

from pathlib import Path
from types import TracebackType

from agent_tasks.errors import InvalidInput

_OURS = str(Path(__file__).parents[2])


class StepParked(BaseException):
    """Raised at each wait of a step that is parked. Let it pass: `finally:` blocks run, and the step comes back."""


def is_parked(error: BaseException) -> bool:
    """Whether a step ended by being parked: by that alone, also where a group holds it."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_parked, error.exceptions))
    return isinstance(error, StepParked)


def swallowed(step: str, thrown: "list[StepParked]") -> InvalidInput:
    """The error of a step whose code goes on although it is parked; names the line that holds it up."""
    places = [place for error in thrown if (place := _caught_at(error.__traceback__)) is not None]
    at = f" (at {places[0]})" if places else ""
    return InvalidInput(
        f"Step {step} is parked by a wait{at}, and its code must end there: let StepParked pass, which `except "
        "BaseException:`, a bare `except:` and a return in `finally:` do not, raise nothing in its place, and use no "
        "ctx in a `finally:`.",
        step=step,
        at=places[0] if places else None,
    )


def _caught_at(trace: TracebackType | None) -> str | None:
    """The line in which the outermost code that it passed through stands, if that is the author's."""
    if trace is None or trace.tb_frame.f_code.co_filename.startswith(_OURS):
        return None
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"

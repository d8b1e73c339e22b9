"""The place where an agent is declared, which tells a second agent of its name from the same module running again."""

from dataclasses import dataclass
from types import CodeType, FrameType


@dataclass(frozen=True)
class Declaration:
    """The place of a declaration; `run` is the code of the module whose import makes the agent, None in a function."""

    module: str
    file: str
    line: int
    run: CodeType | None

    @classmethod
    def of(cls, caller: FrameType) -> "Declaration":
        """Return the declaration of an agent that is made in this frame."""
        importing = _importing(caller)
        named = importing or caller
        return cls(
            named.f_globals.get("__name__", "?"),
            named.f_code.co_filename,
            named.f_lineno,
            importing.f_code if importing else None,
        )

    def clashes(self, earlier: "Declaration") -> str | None:
        """Return where the two are if they are two; a reload, and a file both program and module, is one."""
        if self.run is not None and self.run is earlier.run:
            return f"in {self.module}, in lines {earlier.line} and {self.line}"
        is_program = "__main__" in (self.module, earlier.module) and self.file == earlier.file
        if self.module != earlier.module and not is_program:
            return f"in {earlier.module} and in {self.module}"
        return None


def _importing(caller: FrameType) -> FrameType | None:
    """Return the frame of the module whose first run makes the agent."""
    frame: FrameType | None = caller
    while frame is not None:
        if frame.f_code.co_name == "<module>" and (frame.f_globals is caller.f_globals or _is_import(frame.f_back)):
            return frame
        frame = frame.f_back
    return None


def _is_import(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")

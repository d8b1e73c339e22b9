"""McpResult: what a tool of an MCP server returned."""

from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict

from agent_tasks.errors import AgentTaskError, ErrorInfo, ErrorType, InvalidInput, StepFailed, UpstreamUnavailable


class McpResult(BaseModel):
    """The result of a tool."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    """Its parts of text, joined by line breaks."""
    data: Any = None
    """Its structured content; None if it has none."""
    content: list[dict[str, Any]] = []
    """All its parts as the protocol has them: text, images, sound, resources and links to them."""
    is_error: bool = False
    """Whether the tool says that it failed, in `text`."""
    meta: dict[str, Any] = {}
    """What the server says beside it, by the protocol's names."""

    @classmethod
    def of(cls, result: dict[str, Any]) -> Self:
        """Build it from a result of the protocol, as JSON."""
        given: Any = result.get("content")
        content = [cast("dict[str, Any]", part) for part in given or () if isinstance(part, dict)]
        texts = [str(part.get("text", "")) for part in content if part.get("type") == "text"]
        return cls(
            text="\n".join(texts),
            data=result.get("structuredContent"),
            content=content,
            is_error=result.get("isError") is True,
            meta=result.get("_meta") or {},
        )


def failure_of(result: McpResult, tool: str, url: str) -> AgentTaskError:
    """Return the error of a tool that says that it failed: by the typed error in its data, where it is agent-tasks'."""
    message = f"The tool {tool} of {url} failed: {result.text}"
    known = told_error(result.data)
    if known is None:
        return StepFailed(message, tool=tool)
    details: dict[str, Any] = {"tool": tool, "error": known.model_dump(mode="json")}
    if known.retryable:
        return UpstreamUnavailable(message, retry_after=known.retry_after, **details)
    return (InvalidInput if known.type is ErrorType.INVALID_INPUT else StepFailed)(message, **details)


def told_error(data: Any) -> ErrorInfo | None:
    """Return the typed error that another agent-tasks tells of in data, as `{"error": {…}}`; None if there is none."""
    error = cast("dict[str, Any]", data).get("error") if isinstance(data, dict) else None
    try:
        return None if error is None else ErrorInfo.model_validate(error)
    except ValueError:  # of some other form
        return None

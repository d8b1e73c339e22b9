"""What processes have used."""

import psutil


def cpu_seconds(pid: int | None) -> float:
    """Of the process, of all that live below it, and of those that have lived there."""
    process = psutil.Process(pid)
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return sum(time.user + time.system + time.children_user + time.children_system for time in times)

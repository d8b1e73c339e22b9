"""What processes have used."""

import psutil


def cpu_seconds(pid: int | None) -> float:
    """Of the process, of all that live below it, and of those that have lived there."""
    process = psutil.Process(pid)
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return sum(time.user + time.system + time.children_user + time.children_system for time in times)


def resident_megabytes(pid: int | None) -> float:
    """Of the process and all below it."""
    process = psutil.Process(pid)
    return sum(member.memory_info().rss for member in (process, *process.children(recursive=True))) / 1e6

"""What processes take of the machine: their time on the processors."""

from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that these processes and their descendants have had, also those that ended."""
    total = 0.0
    for pid in pids:
        for process in family(pid):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


class MemoryReading:
    """The memory of processes, in bytes: each one's fair share of what several have (PSS), else what it sees (RSS)."""

    def __init__(self, processes: Iterable[psutil.Process]) -> None:
        found = {process.pid: process for process in processes}.values()
        try:
            self._bytes = _read(found, lambda process: process.memory_full_info().pss)
            self.kind = "PSS"
        except (psutil.AccessDenied, AttributeError):  # the system does not tell, or not us
            self._bytes = _read(found, lambda process: process.memory_info().rss)
            self.kind = "RSS"

    def of(self, processes: Iterable[psutil.Process]) -> list[int]:
        """Return what each of these has; one that ended before it was read is left out."""
        return [self._bytes[process.pid] for process in processes if process.pid in self._bytes]


def _read(processes: Iterable[psutil.Process], read: Callable[[psutil.Process], int]) -> dict[int, int]:
    found = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found[process.pid] = read(process)
    return found

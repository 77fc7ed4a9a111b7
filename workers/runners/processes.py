"""Knowing an agent's processes again, and ending what a dead worker left."""

import os
import signal
import socket
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from dispatch.errors import RefusedError
from workers.runners.base import ProcessIdentity
from workers.runners.guard import PROCESS_MARK, process_mark, start_ticks

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PATIENCE = 10.0
_ROUND_SECONDS = 0.02


@cache
def this_boot() -> str:
    """Return what tells this boot of this machine from every other."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return str(int(psutil.boot_time()))


def identify(process_group: int, ticks: int | None) -> ProcessIdentity:
    """Return the identity of an agent that was just started. `ticks` is its start as the guard read it, if it could."""
    if ticks is not None:
        started = ticks / os.sysconf("SC_CLK_TCK")
    else:
        try:
            started = psutil.Process(process_group).create_time()
        except psutil.NoSuchProcess:
            started = 0.0
    return ProcessIdentity(socket.gethostname(), this_boot(), process_group, started)


def end_process_group(identity: ProcessIdentity) -> bool:
    """Kill what an earlier attempt left running on this host; return whether there was anything.

    A process belongs to the attempt when it carries the attempt's mark in its environment (daemons that left the
    group do), or when it is in the group or session whose first process still has the recorded start. A process
    number that was given out again has neither. False for another host or another boot.

    Raises RefusedError when something survives SIGKILL for ten seconds: no second agent may start beside it.
    """
    if identity.host != socket.gethostname() or identity.boot_id != this_boot():
        return False
    group_is_ours = _leader_matches(identity)
    members = _members(identity, group_is_ours)
    found = bool(members)
    give_up_at = time.monotonic() + _PATIENCE
    while members:
        if time.monotonic() > give_up_at:
            raise _cannot_end(identity)
        if group_is_ours:
            _kill_group(identity.process_group)
        for process in members:
            _kill(process)
        time.sleep(_ROUND_SECONDS)
        members = _members(identity, group_is_ours)
    return found


def _cannot_end(identity: ProcessIdentity) -> RefusedError:
    return RefusedError(
        problem=f"The processes of an earlier attempt (group {identity.process_group}) do not end",
        cure="They hang in the kernel, or belong to another user: end them by hand.",
    )


def _leader_matches(identity: ProcessIdentity) -> bool:
    leader = identity.process_group
    return identity.started > 0 and identify(leader, start_ticks(leader)).started == identity.started


def _members(identity: ProcessIdentity, group_is_ours: bool) -> list[psutil.Process]:
    mark = process_mark(identity.process_group, round(identity.started * os.sysconf("SC_CLK_TCK")))
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _belongs(process, identity.process_group if group_is_ours else None, mark)
    ]


def _belongs(process: psutil.Process, group: int | None, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if group is not None and group in (os.getpgid(process.pid), os.getsid(process.pid)):
            return True
        return process.environ().get(PROCESS_MARK, "").strip() == mark
    except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError):
        return False


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.kill()

"""The guard: a small process between a worker and one agent, which ends the agent surely.

It starts the agent in a session of its own, passes standard input, output and error through, and listens on a socket
to the worker. The agent ends when the worker says so, when the worker is gone (the socket closes, whatever killed
it), and when no renewal of the lease came for the pulse limit: a stopped or cut-off worker must not leave an agent
writing. On Linux the guard is a subreaper, so that what the agent forked stays below it and ends with it.
Source: PROTOCOL, rule 9. PR_SET_PDEATHSIG is no way to do this: it fires when the thread that forked ends.

It runs by itself, `python -I -S guard.py CONTROL_FD PULSE_LIMIT GRACE WORKSPACE PROGRAM [ARGUMENT...]`, and imports
the standard library only, so that it starts in milliseconds. The fork server of the python runner is a guard too and
uses the same `Supervisor`.

Worker to guard: one byte an order. Guard to worker: one JSON object a line, `event` being `started` (`pid`,
`start_ticks`), `refused` (`step`, `errno`, `text`) or `ended` (`code`, `signal`, `cause`, `leftovers`).
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

PULSE = b"p"
"""The lease was renewed."""
TERMINATE = b"t"
"""Ask the agent to stop: SIGTERM to its process group."""
KILL = b"k"
"""End the agent and everything below it now."""

SILENCE = "no pulse"
WORKER_GONE = "worker gone"

PROCESS_MARK = "DISPATCH_PROCESS"
"""The environment variable by which an agent's processes are known again after both worker and guard are gone."""

MARK_ROOM = " " * 40
"""The mark's value in the environment that a fork server is started with.

The system shows of a process the environment that it was executed with. A child that is forked only can carry a mark
there no other way than by writing it over this room.
"""

KILL_LIMIT = 10.0
"""Seconds for which the guard goes on killing; what still lives then hangs in the kernel, and is reported."""

_TICK = 1.0
"""Seconds between two looks at the clock: `select` does not wake by itself after the machine slept."""
_KILL_ROUND = 0.02
_PR_SET_CHILD_SUBREAPER = 36
_IS_LINUX = sys.platform == "linux"
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock() -> float:
    """Return seconds on a clock that, where there is one, goes on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


def process_stat(pid: int) -> list[str] | None:
    """Return the fields of `/proc/PID/stat` from the third (state) on, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return text[text.rindex(b")") + 2 :].decode("ascii").split()


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when it is gone or the system does not tell."""
    stat = process_stat(pid)
    return int(stat[19]) if stat else None


def process_mark(pid: int, ticks: int) -> str:
    """Return the value of `PROCESS_MARK` for an agent: never the same twice between two boots."""
    return f"{pid}-{ticks}"


def groups_below(ancestor: int) -> dict[int, set[int]]:
    """Return the living descendants of a process by process group (Linux)."""
    children: dict[int, list[tuple[int, int, str]]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 names are enough, and this loop races forking processes
        stat = process_stat(int(entry)) if entry.isdigit() else None
        if stat:
            children.setdefault(int(stat[1]), []).append((int(entry), int(stat[2]), stat[0]))
    groups: dict[int, set[int]] = {}
    parents = [ancestor]
    while parents:
        for pid, group, state in children.pop(parents.pop(), ()):
            parents.append(pid)
            if state not in "ZX":
                groups.setdefault(group, set()).add(pid)
    return groups


def _children(pid: int) -> list[int]:
    """Return the children of all threads of a process (Linux). Raises OSError where the system does not tell."""
    found = (Path(f"/proc/{pid}/task/{thread}/children").read_text() for thread in os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    return [int(child) for line in found for child in line.split()]


def become_leader() -> None:
    """Make a forked child the first of a session of its own, marked, and undo what its parents did to signals.

    An ignored signal would stay ignored through exec.
    """
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:  # one that the C library keeps for itself
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ticks = start_ticks(os.getpid())
    if ticks is not None:
        mark = process_mark(os.getpid(), ticks)
        if os.environ.get(PROCESS_MARK) == MARK_ROOM:
            _write_over_room(mark.encode())
        os.environ[PROCESS_MARK] = mark


def _write_over_room(mark: bytes) -> None:
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    ctypes.memmove(getenv(PROCESS_MARK.encode()), mark, min(len(mark), len(MARK_ROOM)))


def open_control(number: int) -> socket.socket:
    """Take over the inherited socket to the worker, so that no child inherits it again."""
    control = socket.socket(fileno=os.dup(number))  # a low number: `select` takes none above 1023
    os.close(number)
    return control


class Supervisor:
    """Watches one child at a time and ends it with everything below it.

    It ignores the signals that a terminal or a supervisor sends to groups of processes: only the worker, or its
    absence, ends an agent.
    """

    def __init__(self, control: socket.socket) -> None:
        control.setblocking(True)
        self.control = control
        self.worker_gone = False
        self.pending = b""
        """Orders that were read together with something else, and not yet obeyed."""
        self._child = 0
        self._status: int | None = None
        self._wake, wake_writer = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_writer, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        if _IS_LINUX:
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def report(self, event: str, **facts: Any) -> None:
        """Tell the worker. One that is gone will be noticed where orders are read."""
        try:
            self.control.sendall(json.dumps({"event": event, **facts}).encode() + b"\n")
        except OSError:
            self.worker_gone = True

    def watch(self, child: int, pulse_limit: float, grace: float, done: socket.socket | None = None) -> bool:
        """Stay with a child until it and all its descendants are gone, then report how it ended.

        Without a worker, or after `pulse_limit` seconds without a pulse, the child gets SIGTERM, and SIGKILL `grace`
        seconds later. A child that ends by itself takes what it left running with it. One that says on `done` that its
        work is done may live on, when nobody asked it to end and it is alone; returns whether it does.
        """
        self._child, self._status = child, None
        cause, asked = "", False
        kill_at = float("inf")
        last_pulse = boot_clock()
        self._reap()
        while self._status is None:
            orders = self._wait(min(_TICK, pulse_limit, max(0.0, kill_at - boot_clock())), done)
            now = boot_clock()
            if PULSE in orders:
                last_pulse = now
            if KILL in orders or now >= kill_at:
                break
            if TERMINATE in orders:
                asked = True
                self._terminate()
            if done is not None and self._is_done(done):
                if not cause and not asked and self._has_only(child):
                    self.report("ended", code=0, signal=None, cause="", leftovers=0)
                    return True
                break
            if not cause and (self.worker_gone or now - last_pulse > pulse_limit):
                cause = WORKER_GONE if self.worker_gone else SILENCE
                kill_at = now + grace
                self._terminate()
        leftovers = self._end_all()
        self.report("ended", **self._exit(), cause=cause, leftovers=leftovers)
        return False

    def _exit(self) -> dict[str, int | None]:
        status = self._status
        if status is None:
            return {"code": None, "signal": None}
        if os.WIFSIGNALED(status):
            return {"code": None, "signal": os.WTERMSIG(status)}
        return {"code": os.WEXITSTATUS(status), "signal": None}

    def _is_done(self, done: socket.socket) -> bool:
        """Tell whether the child says that its work is done. A child that ended says nothing any more."""
        try:
            return bool(done.recv(1, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False

    def _has_only(self, child: int) -> bool:
        """Tell whether nothing but the child runs below: neither what it started nor what that left behind.

        Where the system does not list the children of a process, the answer is no.
        """
        self._reap()
        try:
            return _children(os.getpid()) == [child] and not _children(child)
        except OSError:
            return False

    def _wait(self, seconds: float, done: socket.socket | None = None) -> bytes:
        """Return the orders that came within `seconds`, or sooner nothing when a child ended or is done."""
        sources: list[Any] = [self._wake] if self.worker_gone else [self.control, self._wake]
        if done is not None:
            sources.append(done)
        orders, self.pending = self.pending, b""
        ready = select.select(sources, (), (), 0 if orders else seconds)[0]
        if self.control in ready:
            orders += self._receive()
        if self._wake in ready:
            os.read(self._wake, 4096)
        self._reap()
        return orders

    def _receive(self) -> bytes:
        try:
            orders = self.control.recv(4096)
        except ConnectionError:
            orders = b""
        self.worker_gone = not orders
        return orders

    def _reap(self) -> bool:
        """Collect every child that ended, adopted ones included; return whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == self._child:
                self._status = status
            if pid == 0:
                return True

    def _terminate(self) -> None:
        for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process gets SIGTERM when it goes on
            _signal_group(self._child, number)

    def _end_all(self) -> int:
        """Kill everything below until nothing is left; return the number of those that would not die.

        A group is killed at once, forks on their way included. What left its group is found as a descendant, round
        by round, so a process that forks faster than one round is still met in a later one.
        """
        give_up_at = time.monotonic() + KILL_LIMIT
        while self._reap():
            groups = groups_below(os.getpid()) if _IS_LINUX else {self._child: {self._child}}
            for group, members in groups.items():
                if group == os.getpgrp():  # a child that has not reached its setsid yet
                    for pid in members:
                        _signal(pid, signal.SIGKILL)
                else:
                    _signal_group(group, signal.SIGKILL)
            if time.monotonic() > give_up_at:
                return sum(len(members) for members in groups.values())
            if select.select((self._wake,), (), (), _KILL_ROUND)[0]:
                os.read(self._wake, 4096)
        return 0


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):  # gone, or another user's now: counted as a leftover
        return


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def _become_agent(gate: int, workspace: str, arguments: list[str], complaint: int) -> NoReturn:
    """Wait for the gate to open, then become the agent. A guard that dies before takes this child with it."""
    step = "workspace"
    try:
        become_leader()
        if os.read(gate, 1):
            os.chdir(workspace)
            step = "program"
            os.execv(arguments[0], arguments)
    except OSError as error:
        complaint_text = json.dumps({"step": step, "errno": error.errno, "text": error.strerror})
        os.write(complaint, complaint_text.encode())
    finally:
        os._exit(127)


def _start_agent(supervisor: Supervisor, workspace: str, arguments: list[str]) -> int | None:
    """Start the program and report it; return its pid, or None when it could not be started.

    It is held until it is reported, so there is no moment at which an agent runs that the worker does not know of.
    """
    gate, opener = os.pipe()
    complaints, complaint = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(opener)
        _become_agent(gate, workspace, arguments, complaint)
    os.close(gate)
    os.close(complaint)
    supervisor.report("started", pid=child, start_ticks=start_ticks(child))
    os.write(opener, b"g")
    os.close(opener)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # the worker must see the end of the agent's output, not of the guard's
        os.dup2(null, number)
    os.close(null)
    text = os.read(complaints, 4096)
    os.close(complaints)
    if not text:
        return child
    os.waitpid(child, 0)
    supervisor.report("refused", **json.loads(text))
    return None


def main(arguments: list[str]) -> None:
    control_fd, pulse_limit, grace, workspace, *command = arguments
    supervisor = Supervisor(open_control(int(control_fd)))
    child = _start_agent(supervisor, workspace, command)
    if child is not None:
        supervisor.watch(child, float(pulse_limit), float(grace))


if __name__ == "__main__":
    main(sys.argv[1:])

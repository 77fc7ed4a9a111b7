"""The fork server of the python runner: imports an agent function once, then forks one guarded child a run.

`python -m workers.runners.fork_server CONTROL_FD MODULE:FUNCTION RUNS PYTHONPATH` does one run at a time, in one
thread, and is the guard of its children: they end with the worker, without its pulses, and with everything they
started. A child does RUNS runs at most.
Between runs it waits for its worker, and exits when that is gone. Its own module search path comes from the worker;
`PYTHONPATH` is what the agent's environment has instead, or empty.

An order for a run is one JSON line (`assignment`, `workspace`, `pulse_limit`, `grace`) that brings two descriptors:
where events and the outcome go, and where the function's output goes.
"""

import gc
import json
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from workers.runners.environment import ASSIGNMENT_VARIABLE
from workers.runners.function_call import AgentFunction, load_function, perform, warm_up
from workers.runners.guard import Supervisor, become_leader, open_control, start_ticks
from workers.runners.transcript import TAIL

IMPORT_LIMIT = 60
"""Seconds that the import of the function's module may take."""
_IMPORT_GRACE = 5


class _Order(NamedTuple):
    text: bytes
    descriptors: list[int]

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.text)
        return facts


def main(arguments: list[str]) -> None:
    control_fd, target, runs, python_path = arguments
    control = open_control(int(control_fd))
    os.environ.pop("PYTHONPATH", None)
    if python_path:
        os.environ["PYTHONPATH"] = python_path
    signal.signal(signal.SIGALRM, _refuse_slow_import)
    signal.alarm(IMPORT_LIMIT)
    try:
        function = load_function(target)
    except BaseException as error:  # noqa: BLE001 the border to foreign code, reported to the worker
        _silence()
        Supervisor(control).report(
            "refused",
            step="import",
            text=f"{target} cannot be imported on this worker ({type(error).__name__}: {error}). Install its module"
            " beside the worker, and correct the target of the runner.",
            output=traceback.format_exc()[-TAIL:],
        )
        return
    signal.alarm(0)
    _silence()
    gc.collect()
    gc.freeze()  # a child's collector then leaves the shared pages alone
    _serve(Supervisor(control), function, int(runs))


def _refuse_slow_import(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_IMPORT_GRACE)  # ends this process, should the import catch the exception or hang outside of Python
    raise TimeoutError(f"its import took longer than {IMPORT_LIMIT} s")


def _silence() -> None:
    """Let go of the first run's output, to which the import could still print."""
    _flush()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(null, number)
    os.close(null)


def _serve(supervisor: Supervisor, function: AgentFunction, runs: int) -> None:
    """Fork each child before its order comes, so that no run waits for a fork. Until then it ends with us.

    A child does up to `runs` runs, as long as each leaves it as it was.
    """
    while not supervisor.worker_gone:
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            supervisor.control.close()
            ours.close()
            _become_agent(function, theirs, runs)
        theirs.close()
        with ours:
            if not _use_child(supervisor, child, ours, runs):
                return


def _use_child(supervisor: Supervisor, child: int, orders: socket.socket, runs: int) -> bool:
    """Give a child its runs, one after the other; False when the worker is gone."""
    ticks = start_ticks(child)
    for left in reversed(range(runs)):
        order = _receive(supervisor)
        if order is None:
            return False
        supervisor.report("started", pid=child, start_ticks=ticks)
        with suppress(BrokenPipeError):  # somebody killed the waiting child: the watch will report it
            socket.send_fds(orders, [order.text], order.descriptors)
        for descriptor in order.descriptors:
            os.close(descriptor)
        facts = order.facts
        if not supervisor.watch(child, facts["pulse_limit"], facts["grace"], orders if left else None):
            break
    return True


def _receive(supervisor: Supervisor) -> _Order | None:
    """Return the next order, or None when the worker is gone. Bytes before it belong to the run before."""
    order = _receive_order(supervisor.control)
    if order is None:
        return None
    text, supervisor.pending = order.text[order.text.index(b"{") :].split(b"\n", 1)
    return _Order(text + b"\n", order.descriptors)


def _receive_order(source: socket.socket) -> _Order | None:
    text = b""
    descriptors: list[int] = []
    while b"\n" not in text:
        data, received, _flags, _address = socket.recv_fds(source, 65536, 2)
        if not data:
            return None
        text += data
        descriptors += received
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return _Order(text, descriptors)


def _become_agent(function: AgentFunction, orders: socket.socket, runs: int) -> NoReturn:
    code = 1
    try:
        become_leader()
        warm_up()
        environment = dict(os.environ)
        for left in reversed(range(runs)):
            order = _receive_order(orders)
            if order is None:
                break
            _run(function, order)
            code = 0
            if not left or not _is_as_before():
                break
            _leave_run(environment)
            orders.send(b"d")
    except BaseException:  # noqa: BLE001 a forked child must never return into the server's loop
        traceback.print_exc()
        code = 1
    finally:
        _flush()
        os._exit(code)


def _run(function: AgentFunction, order: _Order) -> None:
    events, output = order.descriptors
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    facts = order.facts
    os.environ[ASSIGNMENT_VARIABLE] = facts["assignment"]
    os.chdir(facts["workspace"])
    perform(function, Path(facts["assignment"]), events)
    os.close(events)


def _is_as_before() -> bool:
    """Tell whether a run left no thread, no process and no handler of a signal in this process."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        alone = len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
        return alone and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and not signal.alarm(0)
    return False


def _leave_run(environment: dict[str, str]) -> None:
    """Let go of the run's output, directory and environment."""
    _silence()
    os.chdir("/")
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # closed by the function
            continue


if __name__ == "__main__":
    main(sys.argv[1:])

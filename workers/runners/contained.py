"""The client of one container: what the guard starts in the place of an agent that is to run in a container.

The guard ends an agent by ending this process, which holds the container's lifeline: however it ends, the container
ends with it. It starts the container and the agent in it, passes on what the agent prints and how it ended, and hands
SIGTERM on to everything of the agent. It leaves by itself when the guard is gone.

`python -m workers.runners.contained PROGRAM [ARGUMENT...]`, with its order in the environment. What goes wrong with the
container, not with the agent, is written to the file that the order names. Source: PROTOCOL, rule 9.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from dispatch.errors import ContainerError
from dispatch.workspaces.containers import Engine, Lifeline, Program, diagnose, signal_all
from workers.runners.container_order import ORDER_VARIABLE, TROUBLE, Order

_ROUND = 1.0
"""Seconds between two looks whether the guard and the agent are still there."""
_DRAIN = 0.5
"""Seconds for the last output of an agent that ended while something it left still holds its output open."""
_WITH_INPUT = 'exec "$@" <"$0"'


def main(argv: Sequence[str]) -> int:
    order = Order.read(os.environ.pop(ORDER_VARIABLE))
    guard = os.getppid()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    try:
        engine = Engine.open(order.container.engine)
        lifeline = Lifeline.begin(engine, order.container.id)
        try:
            program = Program(engine, order.container, _reading(order.stdin, argv), order.environment())
            threading.Thread(target=_look_after, args=(order, program, guard, stop), daemon=True).start()
            code = program.run(_pass_on)
            found = None if stop.is_set() else diagnose(engine, order.container, argv[0], code)
        finally:
            lifeline.cut()
    except ContainerError as error:
        found, code = error, TROUBLE
    if found is not None:
        order.tell(found)
    return code


def _reading(file: str, argv: Sequence[str]) -> Sequence[str]:
    """Return the command that runs a program with a file of the container as its standard input."""
    return ("sh", "-c", _WITH_INPUT, file, *argv) if file else argv


def _pass_on(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


def _look_after(order: Order, program: Program, guard: int, stop: threading.Event) -> None:
    """Hand on an order to stop, and leave when there is nobody to leave for: the guard is gone, or the agent is.

    The agent may be gone while its output is not at its end, which another process in the container holds open.
    """
    with suppress(ContainerError):  # the engine is away: the main thread notices where it reads
        engine = Engine.open(order.container.engine)
        while os.getppid() == guard:
            if stop.wait(_ROUND):
                stop.clear()
                signal_all(engine, order.container, "TERM")
            code = engine.exit_code(program.id)
            if code is not None:
                time.sleep(_DRAIN)
                os._exit(code)
    if os.getppid() != guard:
        os._exit(TROUBLE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

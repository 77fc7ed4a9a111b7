"""Commands that the model has run in the container of its run; the program itself works on this host."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from dispatch.errors import ContainerError
from dispatch.workspaces.containers import Container, Engine, Lifeline, diagnose, end_all, run_command
from workers.runners.container_order import Order
from workers.runners.llm.commands import BothEnds, Execute, Executed


@contextmanager
def boxed(order: Order) -> Iterator[Execute]:
    """Start the container of a run, and give what runs commands in it; that raises ContainerError, as this does.

    However this process ends, the container ends with it, and with the block at the latest.
    """
    with closing(Engine.open(order.container.engine)) as engine:
        lifeline = Lifeline.begin(engine, order.container.id)
        environment = order.environment()

        def execute(argv: Sequence[str], timeout: float) -> Executed:
            output = BothEnds()
            code = run_command(
                order.container, argv, environment, timeout=timeout, take=output.take, end_container=lifeline.cut
            )
            note = "" if code is None else _why(order.container, argv[0], code)
            # What goes on would change files under the tools that work on them from outside.
            end_all(order.container)
            return Executed(code, output.text() + note)

        try:
            yield execute
        finally:
            lifeline.cut()


def _why(container: Container, program: str, code: int) -> str:
    """Return in words for the model what the exit code of a command does not say, if there is anything."""
    with closing(Engine.open(container.engine)) as engine:
        found: ContainerError | None = diagnose(engine, container, program, code)
    return f"\n{found.facts['problem']}.\n" if found is not None else ""

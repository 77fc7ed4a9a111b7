"""The first process of a container, which ends the container with whoever started it.

It waits for the end of its standard input, and the engine keeps that open only as long as the one that holds the
other end: when that process ends, whatever killed it, the input ends, the first process with it, and the kernel then
kills everything else in the container. No agent can stop that, since the first process is another user's. It needs
nothing of the image but `sh`.
"""

from dispatch.workspaces.containers.engine import Engine, Stream

KEEPER = ("sh", "-c", "exec 3<&0; { while read -r _; do :; done; } <&3 & wait")
"""Waiting for a child, rather than reading itself, the first process also buries what others leave behind."""


class Lifeline:
    """The held end of a container's standard input: a container lives as long as this."""

    def __init__(self, held: Stream) -> None:
        self._held = held

    @classmethod
    def begin(cls, engine: Engine, container_id: str) -> "Lifeline":
        """Start a container that ends with this process. Raises ContainerError."""
        lifeline = cls(engine.hold_input(container_id))
        try:
            engine.start(container_id)
        except BaseException:
            lifeline.cut()
            raise
        return lifeline

    def cut(self) -> None:
        """Let the container end."""
        self._held.close()

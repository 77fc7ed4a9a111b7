"""Why a program in a container ended as it did, where its exit code alone does not say it."""

from dispatch.errors import ContainerError
from dispatch.workspaces.containers.engine import Engine
from dispatch.workspaces.containers.program import KILLED, Container, Program

NOT_FOUND = "not found"
OUT_OF_MEMORY = "out of memory"

_NOT_STARTED = (126, 127)
"""The exit codes of a program that could not be started: Docker's and Podman's, of which 126 has other reasons too."""
_FIND = 'command -v -- "$1"'
_ANY_KILLED = """
for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$file" ] || continue
    while read -r key count; do [ "$key" = oom_kill ] && [ "$count" -gt 0 ] && exit 0; done < "$file"
done
exit 1
"""


def diagnose(engine: Engine, container: Container, program: str, code: int) -> ContainerError | None:
    """Return what explains the exit code of a program in a container that still runs; None when nothing does."""
    if code in _NOT_STARTED and not _is_so(engine, container, _FIND, program):
        return ContainerError(
            cause=NOT_FOUND,
            problem=f"The image has no program {program!r}",
            cure="Install it in the image, or name one that is there in the runner's argv.",
        )
    if code == KILLED and _is_so(engine, container, _ANY_KILLED):
        return ContainerError(
            cause=OUT_OF_MEMORY,
            problem="The kernel killed it because the container had used up its memory",
            cure="Let the project have more: memory in [projects.<name>].",
        )
    return None


def _is_so(engine: Engine, container: Container, question: str, *words: str) -> bool:
    asked = Program(engine, container, ("sh", "-c", question, "sh", *words), {})
    return asked.run(lambda _descriptor, _text: None) == 0

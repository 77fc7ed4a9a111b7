"""Containers: the engine that runs them, and how much of the machine a project's may use."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from dispatch.settings.fields import Section, refusal

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SMALLEST_MEMORY = 16 << 20


def _read_memory(value: object) -> object:
    """Read an amount of memory, in bytes: `512m`, `2g`, or a plain number of bytes."""
    written = re.fullmatch(r"([0-9]+)([kmg]?)b?", str(value).strip().lower())
    if written is None:
        raise refusal("is not an amount of memory", 'Write for example "512m" or "2g".')
    memory = int(written[1]) * _UNITS[written[2]]
    if 0 < memory < _SMALLEST_MEMORY:
        raise refusal("is too little to start anything", 'Write at least "16m", or 0 for no limit.')
    return memory


def _engine_address(address: str) -> str:
    if address and not address.startswith("unix:///"):
        raise refusal(
            "is not the socket of an engine on this host",
            "Write unix:///path/to/the.sock: a worktree of this host can only be mounted by an engine of this host.",
        )
    return address


Memory = Annotated[int, BeforeValidator(_read_memory)]
EngineAddress = Annotated[str, AfterValidator(_engine_address)]


class ContainerSettings(Section):
    """The container engine of each host, Docker or Podman, as `unix:///path`.

    Empty: the one that DOCKER_HOST or CONTAINER_HOST names, else the first usual socket that is there.
    """

    engine: EngineAddress = ""

"""The AGENTS.md of a repository, as a run is told it: bounded, and never from outside of the run's workspace."""

import os
import stat
from pathlib import Path

import structlog

from dispatch.context import AGENTS_FILE_ROOM, readable

AGENTS_FILE = "AGENTS.md"
_READ = 4 * AGENTS_FILE_ROOM
"""Bytes: a character has four at most."""
_NOTE_ROOM = 100

log = structlog.get_logger(__name__)


def read_agents_file(workspace: Path) -> str:
    """Return the AGENTS.md at the top of a workspace, cut to what a prompt holds; empty when there is none to read.

    A link is followed within the workspace only, and what is no plain file is not read.
    """
    try:
        data, size = _read(workspace)
    except FileNotFoundError:
        return ""
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        log.warning("an AGENTS.md cannot be read", workspace=str(workspace), cause=repr(error))
        return ""
    text = readable(data.decode("utf-8", "replace")).strip()
    if len(text) <= AGENTS_FILE_ROOM and len(data) == size:
        return text
    return f"{text[: AGENTS_FILE_ROOM - _NOTE_ROOM].rstrip()}\n[... cut here: the file has {size:,} bytes ...]"


def _read(workspace: Path) -> tuple[bytes, int]:
    """Return the beginning of the file, and its size in bytes. Raises OSError, RuntimeError."""
    top = workspace.resolve(strict=True)
    path = (top / AGENTS_FILE).resolve(strict=True)
    if not path.is_relative_to(top):
        raise PermissionError(f"{path} is not in the workspace")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no plain file")
        return os.read(descriptor, _READ), status.st_size
    finally:
        os.close(descriptor)

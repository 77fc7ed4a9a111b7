"""`dispatch down`: ends what `dispatch up` started, and the embedded servers."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import typer

from dispatch import embedded
from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.upkeep import longest_end
from dispatch.embedded.file_lock import FileLock, read_pid
from dispatch.embedded.home import EmbeddedHome
from dispatch.errors import RefusedError

_BEYOND_END = 5.0
"""Seconds that an `up` gets beyond those after which it has killed whatever did not end."""
_POLL_SECONDS = 0.1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("down", epilog="Example: `dispatch down`")(down)


def down(context: typer.Context) -> None:
    """End a running `dispatch up` of this home in good order, then stop the embedded servers at once."""
    settings = CommandContext.of(context).settings
    home = settings.home
    pid = end_up(home, longest_end(settings) + _BEYOND_END)
    if pid is not None:
        output.say(f"Ended dispatch up (process {pid}).")
    if embedded.down(home):
        output.say("Stopped the embedded servers.")
    elif pid is None:
        output.say(f"Nothing runs in {home}.")


def end_up(home: Path, patience: float) -> int | None:
    """End the `dispatch up` of a home and wait for it; return its process id, or None when there was none.

    Raises RefusedError when it does not end within `patience` seconds.
    """
    path = EmbeddedHome.at(home).up_lock
    if not path.is_file():
        return None
    lock = FileLock(path)
    deadline = time.monotonic() + patience
    asked: int | None = None
    while not lock.acquire_now():
        pid = read_pid(path)
        if pid is not None and pid != asked:
            asked = pid
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if time.monotonic() >= deadline:
            raise RefusedError(
                problem=f"dispatch up (process {pid or 'unknown'}) has not ended within {patience:g} s",
                cure=f"End it by hand; its logs are in {home / 'logs'}.",
            )
        time.sleep(_POLL_SECONDS)
    lock.release()
    return asked

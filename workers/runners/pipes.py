"""Pipes that are closed with an exit stack, whatever happens between."""

import os
from contextlib import ExitStack
from io import FileIO


def open_pipe(stack: ExitStack) -> tuple[FileIO, FileIO]:
    """Return the reading and the writing end of a new pipe. Closing one early is fine. Raises OSError."""
    reader, writer = os.pipe()
    return stack.enter_context(FileIO(reader, "r")), stack.enter_context(FileIO(writer, "w"))

"""Writing a beads file so that a reader sees the old one or the new one, and never a part."""

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from dispatch.errors import BadInputError


def write_file(path: Path, lines: Iterable[str]) -> None:
    """Replace a file by these lines (each without its end), in their order; the old file stays on any failure.

    An existing file keeps its mode. Raises BadInputError when the path is a symbolic link or no file, and when its
    directory is missing or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        mode = _mode_of_target(path)
        try:
            _write(temporary, lines, mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise BadInputError(
            place=path, problem=f"cannot be written ({error.strerror})", cure=_cure(error, path)
        ) from error


def _mode_of_target(path: Path) -> int | None:
    """Return the mode of the file that is to be replaced, or None when there is none.

    A link is refused: replacing it would cut it, and following it would let a repository choose any file to be
    overwritten.
    """
    try:
        found = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found):
        raise BadInputError(place=path, problem="is a symbolic link", cure=f"Name the file itself: {path.resolve()}.")
    if not stat.S_ISREG(found):
        raise BadInputError(place=path, problem="is not a file", cure="Name a file to write.")
    return stat.S_IMODE(found)


def _write(path: Path, lines: Iterable[str], mode: int | None) -> None:
    """Write and sync a file that must not exist yet; without a mode it gets the process's default."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(descriptor, mode)
        file.writelines(line.encode() + b"\n" for line in lines)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    """Make the new name last through a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cure(error: OSError, path: Path) -> str:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return f"Make the directory {path.parent} first."
        case PermissionError():
            return f"Let this user write to {path.parent}, or name another file."
        case _:
            return "Name another file."

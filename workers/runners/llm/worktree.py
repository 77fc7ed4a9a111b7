"""Files as the model sees them: those inside the worktree, whatever path it writes and whatever links lie there.

A path is resolved first, so that links within the worktree work, and what is outside is refused. Then it is opened step
by step from the root's own descriptor, without following any link: one that was put there meanwhile leads nowhere.
What is made belongs to whoever the worktree belongs to: that may be the user of a container.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

MAX_FILE: Final = 5 * 2**20
"""Bytes of a file that is read or edited."""
MAX_READ: Final = 24_000
"""Characters of one answer."""
_GIT: Final = ".git"
_SNIFFED: Final = 8192
_STEP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FileRefusal(Exception):
    """Why a file cannot be had, in words for the model."""


class Worktree:
    """The files below one directory, which commands may see at another place, `seen`."""

    def __init__(self, root: Path, seen: Path | None = None) -> None:
        self.root = Path(os.path.realpath(root))
        self._seen = seen or self.root
        self.git_dir = _find_git_dir(self.root)
        found = self.root.stat()
        self._owner = None if found.st_uid == os.geteuid() else (found.st_uid, found.st_gid)

    def relative(self, path: str) -> Path:
        """Return where a path leads, relative to the worktree. Raises `FileRefusal` for what is not inside it."""
        if "\0" in path:
            raise FileRefusal("a path cannot hold a NUL character")
        wanted = os.path.relpath(path, self._seen) if Path(path).is_relative_to(self._seen) else path
        real = Path(os.path.realpath(self.root / wanted))
        if real != self.root and self.root not in real.parents:
            raise FileRefusal(f"{path} is outside of the working directory; only files inside of it can be had")
        found = real.relative_to(self.root)
        if any(part.lower() == _GIT for part in found.parts):
            raise FileRefusal(f"{path} belongs to git; use git commands to look at the history")
        return found

    def present(self, names: Iterable[str]) -> list[str]:
        """Return those of these relative paths where something is, and that lead through no link."""
        is_plain = cache(lambda directory: os.path.realpath(directory) == directory)
        paths = ((name, os.path.join(self.root, name)) for name in names)  # noqa: PTH118 - of every file
        return [name for name, path in paths if is_plain(os.path.dirname(path)) and os.path.lexists(path)]  # noqa: PTH120

    def read(self, path: str) -> str:
        """Return the text of a file. Raises `FileRefusal` for one that is no text, or too large."""
        with self._opened(path, os.O_RDONLY) as descriptor:
            size = os.fstat(descriptor).st_size
            if size > MAX_FILE:
                raise FileRefusal(f"{path} has {size:,} bytes, too many to be read; look at parts of it by a command")
            data = _read_all(descriptor)
        if b"\0" in data[:_SNIFFED]:
            raise FileRefusal(f"{path} is a binary file of {len(data):,} bytes")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise FileRefusal(f"{path} is not text in UTF-8") from None

    def read_part(self, path: str, offset: int) -> str:
        """Return a file from a line on, the first one being 1; a long one is cut, with a note of how to go on."""
        lines = self.read(path).splitlines(keepends=True)
        if offset > max(1, len(lines)):
            raise FileRefusal(f"{path} has only {len(lines)} lines")
        shown, room = [], MAX_READ
        for line in lines[offset - 1 :]:
            shown.append(line if len(line) <= MAX_READ else f"{line[:MAX_READ]} [this line is longer, and cut here]\n")
            room -= len(line)
            if room <= 0:
                break
        end = offset - 1 + len(shown)
        text = "".join(shown)
        if end < len(lines):
            text += f"\n[lines {offset} to {end} of {len(lines)}; go on with offset={end + 1}]"
        return text or "[the file is empty]"

    def write(self, path: str, text: str) -> None:
        """Write a whole file, with the directories that it needs."""
        with self._opened(path, os.O_WRONLY | os.O_CREAT, make=True) as descriptor:
            os.ftruncate(descriptor, 0)
            data = memoryview(text.encode("utf-8", "replace"))
            while data:
                data = data[os.write(descriptor, data) :]

    def edit(self, path: str, old: str, new: str) -> str:
        """Replace the one place where `old` stands in a file; return the new text."""
        if not old:
            raise FileRefusal("the text to be replaced is empty")
        before = self.read(path)
        count = before.count(old)
        if count == 0:
            raise FileRefusal(f"the text to be replaced is not in {path}; read it again, it has to fit exactly")
        if count > 1:
            raise FileRefusal(f"the text to be replaced is {count} times in {path}; give more of what is around it")
        after = before.replace(old, new)
        self.write(path, after)
        return after

    @contextmanager
    def _opened(self, path: str, flags: int, *, make: bool = False) -> Iterator[int]:
        """Open a plain file without following a link, from the root's descriptor on."""
        found = self.relative(path)
        if not found.parts:
            raise FileRefusal(f"{path} is a directory")
        try:
            directory = self._directory(found.parent, make=make)
            try:
                extra = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not be waited for
                descriptor = os.open(found.name, flags | extra, 0o666, dir_fd=directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise FileRefusal(f"{path}: {error.strerror}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileRefusal(f"{path} is a directory, or no plain file")
            if make:
                self._hand_over(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def _directory(self, relative: Path, *, make: bool) -> int:
        """Return a descriptor of a directory below the root. Raises OSError."""
        descriptor = os.open(self.root, _STEP)
        for part in relative.parts:
            try:
                is_new = make and _make(part, descriptor)
                below = os.open(part, _STEP, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
            if is_new:
                self._hand_over(descriptor)
        return descriptor

    def _hand_over(self, descriptor: int) -> None:
        if self._owner is not None:
            os.fchown(descriptor, *self._owner)


def _make(name: str, directory: int) -> bool:
    """Make a directory below an open one; return whether it is new. Raises OSError."""
    try:
        os.mkdir(name, 0o777, dir_fd=directory)
    except FileExistsError:
        return False
    return True


def _find_git_dir(root: Path) -> Path | None:
    """Return where git keeps what belongs to a worktree, if that is not in the worktree itself.

    It is asked before anything ran there: later the file that says it may say anything.
    """
    try:
        told = (root / _GIT).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    kind, _, place = told.rstrip("\n").partition(": ")
    found = Path(os.path.realpath(root / place))
    return found if kind == "gitdir" and found.is_dir() and not found.is_relative_to(root) else None


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 2**20):
        parts.append(part)
    return b"".join(parts)

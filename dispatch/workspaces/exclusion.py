"""Keeping our home directory out of a user's `git status`, without touching a file that is committed."""

import re
from pathlib import Path

from dispatch.errors import BadInputError
from dispatch.workspaces.repository import OpenRepository


def ignore_home(repository_path: Path, home: Path) -> bool:
    """Name `home` in the repository's `.git/info/exclude` when it lies inside; return whether a line was added.

    Raises ConfigurationError when `repository_path` is not the top of a repository, BadInputError when the name of
    `home` cannot be written there.
    """
    repository = OpenRepository.at(repository_path)
    top, inside = repository_path.resolve(), home.resolve()
    if inside == top or not inside.is_relative_to(top) or inside.is_relative_to(repository.common_dir.resolve()):
        return False
    pattern = _pattern(inside.relative_to(top))
    with repository.locked():
        exclude = repository.common_dir / "info" / "exclude"
        text = exclude.read_text(encoding="utf-8", errors="surrogateescape") if exclude.is_file() else ""
        if pattern in text.split("\n"):
            return False
        exclude.parent.mkdir(exist_ok=True)
        line_break = "" if not text or text.endswith("\n") else "\n"
        with exclude.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{line_break}{pattern}\n")
    return True


def _pattern(relative: Path) -> str:
    name = relative.as_posix()
    if "\n" in name:
        raise BadInputError(
            place=repr(name), problem="git cannot ignore a path with a line break", cure="Choose another home."
        )
    return "/" + re.sub(r"([*?\[\\ ])", r"\\\1", name) + "/"

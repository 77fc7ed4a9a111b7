"""The `git` program, called so that nothing around it or inside a repository changes what a call means.

Arguments are a list, never a shell's line. The environment carries no `GIT_*` of ours or of whoever started us (an
inherited GIT_DIR or GIT_INDEX_FILE would point at another repository), hooks and signing are off, nothing asks.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dispatch.errors import ConfigurationError, GitError
from dispatch.workspaces.processes import Finished, run_captured

GIT_TIMEOUT = 600.0
"""Seconds. Checking out or hashing a very large tree takes minutes; a call that takes longer hangs."""

_COMMON_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.filesRefLockTimeout=5000",
    "core.packedRefsTimeout=5000",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "rerere.enabled=false",
    "merge.autoStash=false",
    "merge.ff=true",
    "merge.verifySignatures=false",
    "rebase.autoStash=false",
    "rebase.autoSquash=false",
    "rebase.updateRefs=false",
)
_WHOLE_TREE_OPTIONS = (
    "core.sparseCheckout=false",
    "core.untrackedCache=false",
    "core.ignoreStat=false",
    "core.safecrlf=false",
)
"""What users set for their own checkout and would leave out work in ours: with a sparse checkout, for example, a file
that is not there would look deleted."""


@dataclass(frozen=True, slots=True)
class Git:
    """How to call git in one place.

    `git_dir` and `work_tree` fix the repository and the files, so that a `.git` found in `place` is not asked;
    `index` replaces the index. `whole_tree` is for worktrees of ours. A call may take `timeout` seconds.
    """

    place: Path
    git_dir: Path | None = None
    work_tree: Path | None = None
    index: Path | None = None
    whole_tree: bool = False
    timeout: float = GIT_TIMEOUT
    env: Mapping[str, str] = field(default_factory=dict)

    def attempt(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """Run `git arguments...` and return how it ended, whatever the exit code. Raises GitError on a timeout."""
        try:
            finished = run_captured(
                self.argv(arguments), cwd=self.place, env=self.environment(), timeout=self.timeout, stdin=stdin
            )
        except FileNotFoundError as error:
            if error.filename != "git":
                raise
            raise ConfigurationError(
                place="PATH", problem="the program git is not on it", cure="Install git 2.36 or later."
            ) from error
        if finished.code is None:
            raise self.error(arguments, finished)
        return finished

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what `git arguments...` prints. Raises GitError when it fails."""
        finished = self.attempt(*arguments, stdin=stdin)
        if finished.code != 0:
            raise self.error(arguments, finished)
        return finished.output

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Return what `git arguments...` prints as text without the line break at its end."""
        return os.fsdecode(self.run(*arguments, stdin=stdin)).rstrip("\n")

    def names(self, *arguments: str, stdin: bytes = b"") -> list[str]:
        """Return the NUL-terminated names that `git arguments...` prints."""
        return [name for name in os.fsdecode(self.run(*arguments, stdin=stdin)).split("\0") if name]

    def tells(self, *arguments: str, stdin: bytes = b"") -> bool:
        """Ask a question that git answers by its exit code: 0 yes, 1 no. Raises GitError on any other."""
        finished = self.attempt(*arguments, stdin=stdin)
        if finished.code not in (0, 1):
            raise self.error(arguments, finished)
        return finished.code == 0

    def error(self, arguments: Iterable[str], finished: Finished) -> GitError:
        output = words(finished) or "it printed nothing"
        if finished.code is None:
            output = f"it did not end within {self.timeout:g} s; {output}"
        code = "none" if finished.code is None else finished.code
        return GitError(command=" ".join(arguments), place=self.work_tree or self.place, code=code, output=output)

    def argv(self, arguments: Iterable[str]) -> list[str]:
        """Return the command line of a call, for who runs it in another way."""
        options = _COMMON_OPTIONS + (_WHOLE_TREE_OPTIONS if self.whole_tree else ())
        argv = ["git", "--no-pager"]
        for option in options:
            argv += ["-c", option]
        if self.git_dir is not None:
            argv.append(f"--git-dir={self.git_dir}")
        if self.work_tree is not None:
            argv.append(f"--work-tree={self.work_tree}")
        return [*argv, *arguments]

    def environment(self) -> dict[str, str]:
        """Return the whole environment of a call."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": ":", "GIT_OPTIONAL_LOCKS": "0"}
        if self.index is not None:
            env["GIT_INDEX_FILE"] = str(self.index)
        return env | dict(self.env)


def words(finished: Finished) -> str:
    """Return what git said, for a human: its complaints, then its output."""
    parts = (part.decode(errors="replace").strip() for part in (finished.complaint, finished.output))
    return "\n".join(part for part in parts if part)


def complaint(finished: Finished) -> str:
    """Return what git complains of first, without the credentials that an address may hold."""
    lines = words(finished).splitlines() or [f"git ends with {finished.code}"]
    starts = ("fatal:", "remote: error:", " ! [", "error:")
    told = next((line for start in starts for line in lines if line.startswith(start)), lines[-1])
    return re.sub(r"(?<=://)[^/@\s]*@", "", told).removeprefix("fatal: ").strip().rstrip(".") + "."

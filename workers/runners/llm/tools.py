"""What the model may do: every tool is an action that dispatch is told of, with what came out."""

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from dispatch.errors import ContainerError
from dispatch.loops import result_fingerprint
from dispatch.models.messages import Assignment
from dispatch.workspaces.git import Git
from workers.runners.llm.commands import Execute, Executed, execute
from workers.runners.llm.voice import Voice
from workers.runners.llm.worktree import FileRefusal, Worktree

MOST_LISTED: Final = 500
MOST_FOUND: Final = 100
_LONGEST_MATCH: Final = 300
_SEARCH_SECONDS: Final = 30.0
_NO_REPOSITORY: Final = Path(os.devnull)

FilePath = Annotated[str, Field(description="Path of a file, relative to the working directory.")]
Directory = Annotated[str, Field(description="Path of a directory, relative to the working directory.")]


class Toolbox:
    """The tools of one run. They take turns, and none raises for what the model does: it is told what went wrong.

    Files are reached on this host; `run` is what runs the model's commands, each at most `command_timeout` seconds.
    When that raises ContainerError, the call is the last one: dispatch is told of it, and the error passes through.
    """

    def __init__(
        self, assignment: Assignment, voice: Voice, files: Worktree, run: Execute, command_timeout: float
    ) -> None:
        self._assignment = assignment
        self._voice = voice
        self._files = files
        self._execute = run
        self._timeout = command_timeout

    def functions(self) -> list[Callable[..., str]]:
        """Return the tools, in the order in which the model is told of them."""
        tools: list[Callable[..., str]] = [
            self.list_files,
            self.read_file,
            self.search,
            self.write_file,
            self.edit_file,
            self.run_command,
        ]
        if self._assignment.project.test_command:
            tools.append(self.run_tests)
        return [*tools, self.file_bead, self.record_lesson]

    def list_files(self, directory: Directory = ".") -> str:
        """List the files below a directory, but for those that git ignores."""
        return self._act("list", {"path": directory}, lambda: self._list(directory))

    def _list(self, directory: str) -> str:
        below = str(self._files.relative(directory))
        git_dir = self._files.git_dir
        if git_dir is not None:
            options = ("--cached", "--others", "--exclude-standard", "-z", "--", below)
            listed = self._git(git_dir, "ls-files", *options)
            if listed.code != 0:
                raise FileRefusal(listed.output.strip()[:_LONGEST_MATCH] or "listing them took too long")
            names = self._files.present(name for name in listed.output.split("\0") if name)
        else:
            names = self._walk(below)
        if not names:
            raise FileRefusal(f"there are no files in {directory}")
        more = f"\n[{len(names) - MOST_LISTED} more; name a directory]" if len(names) > MOST_LISTED else ""
        return "\n".join(names[:MOST_LISTED]) + more

    def _walk(self, below: str) -> list[str]:
        """List files where the working directory is no worktree of a repository."""
        found = []
        for directory, names, files in os.walk(self._files.root / below):
            names[:] = sorted(name for name in names if name != ".git")
            found += [str((Path(directory) / name).relative_to(self._files.root)) for name in sorted(files)]
        return found

    def read_file(
        self, path: FilePath, offset: Annotated[int, Field(ge=1, description="The first line to return.")] = 1
    ) -> str:
        """Read a text file. A long one is cut, with a note of how to go on."""
        return self._act("read", {"path": path, "offset": offset}, lambda: self._files.read_part(path, offset))

    def search(
        self,
        pattern: Annotated[str, Field(description="A regular expression, as Perl has them.")],
        directory: Directory = ".",
    ) -> str:
        """Search the text of all files below a directory; returns file, line number and line of each match."""
        return self._act(
            "search", {"pattern": pattern, "directory": directory}, lambda: self._search(pattern, directory)
        )

    def _search(self, pattern: str, directory: str) -> str:
        below = str(self._files.relative(directory))
        options = ("--no-index", "--exclude-standard", "--no-color", "-n", "-I", "-P", "-e", pattern, "--", below)
        found = self._git(_NO_REPOSITORY, "grep", *options)
        if found.code == 1 and not found.output:
            return "Nothing matches."
        if found.code != 0:
            raise FileRefusal(found.output.strip()[:_LONGEST_MATCH] or "the search took too long")
        lines = [line[:_LONGEST_MATCH] for line in found.output.splitlines()]
        more = f"\n[{len(lines) - MOST_FOUND} more lines match]" if len(lines) > MOST_FOUND else ""
        return "\n".join(lines[:MOST_FOUND]) + more

    def _git(self, git_dir: Path, *arguments: str) -> Executed:
        """Run git on this host with a repository that was chosen before: it believes no `.git` that lies here."""
        root = self._files.root
        git = Git(root, git_dir=git_dir, work_tree=None if git_dir == _NO_REPOSITORY else root, whole_tree=True)
        return execute(git.argv(arguments), root, git.environment(), _SEARCH_SECONDS)

    def write_file(self, path: FilePath, content: Annotated[str, Field(description="The whole file.")]) -> str:
        """Write a file, new or in place of the old one. Directories are made."""

        def write() -> tuple[str, str]:
            self._files.write(path, content)
            return f"Wrote {path}, {len(content):,} characters.", content

        return self._act_with("write", {"path": path}, write)

    def edit_file(
        self,
        path: FilePath,
        old: Annotated[str, Field(description="Text that stands exactly once in the file.")],
        new: Annotated[str, Field(description="What it is to be replaced by.")],
    ) -> str:
        """Replace one passage of a file."""
        return self._act_with("edit", {"path": path}, lambda: (f"Edited {path}.", self._files.edit(path, old, new)))

    def run_command(
        self,
        command: Annotated[
            str | list[str], Field(description="A line for the shell, or a program and its arguments as a list.")
        ],
        timeout_seconds: Annotated[int, Field(ge=1, description="When to give up; bounded by the run.")] = 120,
    ) -> str:
        """Run a command in the working directory; returns its exit code and what it printed. It gets no input.

        Nothing that it starts goes on after it.
        """
        argv = ["sh", "-c", command] if isinstance(command, str) else command
        line = command if isinstance(command, str) else shlex.join(command)
        if not argv or not argv[0] or not line.strip():
            return self._act("command", {"command": line}, lambda: _refuse("the command is empty"))
        return self._act("command", {"command": line}, lambda: self._run(argv, float(timeout_seconds)))

    def run_tests(self) -> str:
        """Run the tests of the project; returns the exit code and what they printed."""
        command = self._assignment.project.test_command
        return self._act("test", {"command": shlex.join(command)}, lambda: self._run(command, self._timeout))

    def _run(self, argv: Sequence[str], timeout: float) -> str:
        return self._execute(argv, min(timeout, self._timeout)).told()

    def file_bead(
        self,
        title: Annotated[str, Field(min_length=1, max_length=500)],
        description: Annotated[str, Field(description="What is to be done and why, for somebody who knows nothing.")],
        priority: Annotated[int, Field(ge=0, le=4, description="0 is the most urgent, 4 the least.")] = 2,
        issue_type: Literal["task", "bug", "feature", "chore"] = "task",
    ) -> str:
        """Leave work that you found and that is not part of yours to somebody else."""
        self._voice.say("bead", title=title, description=description, priority=priority, issue_type=issue_type)
        return self._act("file_bead", {"title": title}, lambda: "It is noted.")

    def record_lesson(
        self,
        title: Annotated[str, Field(min_length=1, max_length=200)],
        detail: Annotated[str, Field(description="What was learned, and how to act on it.")],
        category: Annotated[str, Field(description="One word.")] = "general",
    ) -> str:
        """Note something about this project that later runs should know; not what belongs to this bead alone."""
        self._voice.say("lesson", title=title, detail=detail, category=category)
        return self._act("record_lesson", {"title": title}, lambda: "It is noted.")

    def _act(self, kind: str, data: dict[str, Any], work: Callable[[], str]) -> str:
        """Do something whose result is what the model is told."""

        def both() -> tuple[str, str]:
            told = work()
            return told, told

        return self._act_with(kind, data, both)

    def _act_with(self, kind: str, data: dict[str, Any], work: Callable[[], tuple[str, str]]) -> str:
        """Do something and report it; `work` returns what the model is told, and what came out."""
        try:
            told, result = work()
        except FileRefusal as refused:
            told = result = f"Error: {refused}."
        except OSError as error:
            told = result = f"Error: {error.strerror or error}."
        except ContainerError as error:
            self._tell(kind, data, f"Error: {error}", str(error))
            raise
        return self._tell(kind, data, told, result)

    def _tell(self, kind: str, data: dict[str, Any], told: str, result: str) -> str:
        told = self._voice.hide(told)
        # A file may be larger than a line of the agent's output: the fingerprint is what the worker would make of it.
        self._voice.say("action", action_type=kind, action_data=data, result_hash=result_fingerprint(result))
        self._voice.say("message", role="tool", text=f"{kind} {' '.join(map(str, data.values()))}\n{told}")
        return told


def _refuse(reason: str) -> str:
    raise FileRefusal(reason)

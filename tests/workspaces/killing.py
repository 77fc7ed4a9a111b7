"""Kills landings at each of their steps, and looks at what that leaves: run as a program, since it forks.

A landing is killed before a step, or while git does it: git then goes on, and the next landing meets it. After each
kill the target branch is as it was or has the work; landing again brings it there. Prints a line for each kill.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dispatch.errors import DispatchError
from dispatch.models.landing import AlreadyLanded, Landed, LandingResult, Proposed, PullRequest
from dispatch.workspaces import Repository, Tests, Upstream, land, propose
from dispatch.workspaces.git import Git

STEPS = frozenset({"worktree", "reset", "rebase", "merge", "update-ref", "push", "fetch"})
"""The calls of git that change something; between two of them one moment is like another."""
TRIES = 100
"""How often landing again may find git of the dead one still at work."""


class Bench:
    """A repository with a remote, and one bead after the other to land."""

    def __init__(self, place: Path, mode: str) -> None:
        self.place, self.mode = place, mode
        self.repository = place / "shop"
        self.remote = place / "remote.git"
        self.notes = place / "note.json"
        upstream = {"local": None, "remote": Upstream("dispatch", str(self.remote)), "pr": Upstream("origin")}[mode]
        self.configured = Repository(self.repository, "main", upstream)

    def git(self, *arguments: str, place: Path | None = None) -> str:
        finished = subprocess.run(
            ["git", *arguments], cwd=place or self.repository, check=True, capture_output=True, text=True
        )
        return finished.stdout.strip()

    def target(self) -> str:
        return self.git("rev-parse", "main", place=self.repository if self.mode == "local" else self.remote)

    def commits_since(self, sha: str) -> str:
        place = self.repository if self.mode == "local" else self.remote
        return self.git("rev-list", "--count", f"{sha}..main", place=place)

    def new_work(self, number: int) -> str:
        """Make a commit that adds a file, on the first commit: it always has to be rebased."""
        blob = self.git("hash-object", "-w", "--path", "x", str(self.repository / "readme"))
        tree = subprocess.run(
            ["git", "mktree"],
            cwd=self.repository,
            input=f"{self.git('ls-tree', 'first')}\n100644 blob {blob}\twork-{number}\n",
            check=True,
            capture_output=True,
            text=True,
        )
        return self.git("commit-tree", tree.stdout.strip(), "-p", "first", "-m", f"Work {number}")

    def land(self, sha: str, number: int) -> LandingResult:
        tests = Tests(("test", "-e", f"work-{number}"), 30)
        if self.mode != "pr":
            return land(self.configured, sha, root=self.place / "worktrees", tests=tests)
        known = PullRequest(**json.loads(self.notes.read_text())) if self.notes.exists() else None
        return propose(
            self.configured,
            sha,
            branch=f"bead/work-{number}",
            known=known,
            root=self.place / "worktrees",
            tests=tests,
            note=self.note,
            look_every=0,
        )

    def note(self, pull_request: PullRequest) -> None:
        draft = self.notes.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(pull_request)))
        draft.replace(self.notes)

    def holds(self, number: int) -> bool:
        """Tell whether the work arrived where it was to go."""
        place = self.repository if self.mode == "local" else self.remote
        ref = f"refs/heads/bead/work-{number}" if self.mode == "pr" else "main"
        if not self.git("for-each-ref", ref if self.mode == "pr" else "refs/heads/main", place=place):
            return False
        return f"work-{number}" in self.git("ls-tree", "--name-only", ref, place=place).splitlines()


def main(place: Path, mode: str) -> None:
    bench = Bench(place, mode)
    kill = 0
    while True:
        kill += 1
        bench.notes.unlink(missing_ok=True)
        sha, before = bench.new_work(kill), bench.target()
        step = killed_at(kill, while_it_runs=kill % 2 == 0, landing=lambda sha=sha, kill=kill: bench.land(sha, kill))
        if step is None:
            break
        moved = bench.target() != before  # asked first: git of the dead landing may be about to move it
        held = bench.holds(kill)
        assert held or not moved, f"{step}: the target branch is neither untouched nor landed"
        result = again(bench, sha, kill)
        assert bench.holds(kill), f"{step}: {result}"
        assert mode == "pr" or bench.commits_since(before) == "1", f"{step}: it landed more than once"
        sys.stdout.write(f"{kill} {step} {'held' if held else 'untouched'}\n")
        sys.stdout.flush()


def killed_at(number: int, *, while_it_runs: bool, landing: Callable[[], Any]) -> str | None:
    """Land in a child that dies at its n-th step; return that step, None when it has fewer."""
    seen, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(seen)
        die_at(number, told, while_it_runs)
        landing()
        os._exit(0)
    os.close(told)
    with os.fdopen(seen) as pipe:
        step = pipe.readline()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return step
    assert os.WEXITSTATUS(status) == 0, "the landing broke by itself"
    return None


def die_at(number: int, told: int, while_it_runs: bool) -> None:
    attempt, steps = Git.attempt, iter(range(1, 10_000))

    def dying(git: Git, *arguments: str, stdin: bytes = b"") -> Any:
        if arguments[0] in STEPS and next(steps) == number:
            os.write(told, f"{'while' if while_it_runs else 'before'} {arguments[0]}".encode())
            if while_it_runs:
                quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                argv, env = git.argv(arguments), git.environment()
                subprocess.Popen(argv, cwd=git.place, env=env, start_new_session=True, **quiet)
            os.kill(os.getpid(), signal.SIGKILL)
        return attempt(git, *arguments, stdin=stdin)

    Git.attempt = dying  # type: ignore[method-assign]


def again(bench: Bench, sha: str, number: int) -> object:
    """Land until that is done, as a lander does that is asked every half minute."""
    result: object = None
    for _ in range(TRIES):
        try:
            result = bench.land(sha, number)
        except DispatchError as error:
            result = error
        if isinstance(result, Landed | AlreadyLanded | Proposed):
            break
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""Making a commit of whatever an agent left in its worktree.

Nothing that the agent could have changed decides what runs here: neither the worktree's `.git` file nor its own
configuration is read, only the project's repository is. The agent's index is copied, not used: it may be locked, in
the middle of a merge, damaged or gone. Two parts are the agent's say: which files it tracks, and where its HEAD is.

Nested repositories: a `git init` or `git clone` inside a worktree would become a link to a commit that exists nowhere
else. Their files are committed as ordinary files instead, without their `.git`; so the work in them is kept, and
their own history is not. Submodules that `.gitmodules` names stay links.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dispatch.workspaces.git import Git
from dispatch.workspaces.linked import git_dir_of, open_to_owner
from dispatch.workspaces.repository import OpenRepository

_GITLINK_MODE = "160000"


def capture(repository: OpenRepository, path: Path, *, base: str, last: str, message: str) -> str:
    """Return a commit that descends from `base` and holds the files of the worktree at `path`.

    It is `base`, the agent's own last commit, or `last` (what was captured before) when that says it all already.
    Raises GitError, for example when a file belongs to another user and cannot be read.
    """
    parents = _parents(repository, path, base, last)
    tree = _write_tree(repository, path, parents[0]) if _is_there(path) else repository.tree_of(parents[0])
    if tree == repository.tree_of(parents[0]) and len(parents) == 1:
        return parents[0]
    if tree == repository.tree_of(last) and parents == _parents_of(repository, last):
        return last
    arguments = [argument for parent in parents for argument in ("-p", parent)]
    committer = replace(repository.git, env=repository.identity())
    text = message.replace("\0", " ").encode(errors="replace")
    return committer.text("commit-tree", tree, *arguments, "-F", "-", stdin=text)


def _is_there(path: Path) -> bool:
    """Tell whether the worktree is still a directory: an agent may have deleted it, or put a link in its place."""
    return path.is_dir() and not path.is_symlink()


def _parents(repository: OpenRepository, path: Path, base: str, last: str) -> list[str]:
    """Return what the commit follows: the agent's HEAD, and the commit it was merging when it ended.

    After a rebase or a switch to another branch, HEAD need not descend from `base`: then both are parents, so that
    the work is one with what the bead had before and no commit of the agent is lost.
    """
    own_refs = f"worktrees/{path.name}"
    head = repository.find_commit(f"{own_refs}/HEAD") or last
    if not _is_there(path) and repository.is_ancestor(head, last):
        head = last
    merging = repository.find_commit(f"{own_refs}/MERGE_HEAD")
    parents = [head] if repository.is_ancestor(base, head) else [base]
    for other in (head, merging):
        if other is not None and not any(repository.is_ancestor(other, parent) for parent in parents):
            parents.append(other)
    return parents


def _parents_of(repository: OpenRepository, commit: str) -> list[str]:
    return repository.git.text("rev-list", "--parents", "-1", commit).split()[1:]


def _write_tree(repository: OpenRepository, path: Path, parent: str) -> str:
    open_to_owner(path)
    with tempfile.TemporaryDirectory(prefix="dispatch-index-") as scratch:
        index = Path(scratch) / "index"
        tree = Git(path, git_dir=repository.common_dir, work_tree=path, index=index, whole_tree=True)
        _begin_index(tree, git_dir_of(repository, path) / "index", index, parent)
        _forget_strays(tree, path)
        nested = _nested_in(tree)
        excluded = "".join(f":(top,exclude,literal){name}\0" for name in nested)
        pathspecs = f":(top)\0{excluded}".encode(errors="surrogateescape")
        tree.run("add", "--all", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=pathspecs)
        _add_nested(tree, replace(tree, index=index.with_name("none")), nested)
        return tree.text("write-tree")


def _begin_index(tree: Git, agents: Path, index: Path, parent: str) -> None:
    """Start from a copy of the agent's index, whose file times spare hashing every file; else from the parent."""
    if agents.is_file() and not agents.is_symlink():
        shutil.copy2(agents, index)  # with its time, by which git knows what may have changed after it was written
        if tree.attempt("ls-files", "--unmerged").code == 0:
            return
        index.unlink()
    tree.run("read-tree", parent)


def _forget_strays(tree: Git, path: Path) -> None:
    """Forget what git tracks where a nested repository is now.

    That is a file which one took the place of, or a link that the agent's own `git add` made; a link that
    `.gitmodules` names is a submodule and stays.
    """
    entries = (entry.partition("\t") for entry in tree.names("ls-files", "--stage", "-z"))
    tracked = {name for meta, _, name in entries if meta.startswith(_GITLINK_MODE)}
    tracked.update(tree.names("diff-files", "--name-only", "-z"))
    nested = {name for name in tracked if not (path / name).is_symlink() and (path / name / ".git").exists()}
    if not nested:
        return
    strays = nested - _submodules(tree, path)
    tree.run("update-index", "--force-remove", "-z", "--stdin", stdin=_joined(sorted(strays)))


def _submodules(tree: Git, path: Path) -> set[str]:
    modules = path / ".gitmodules"
    if not modules.is_file() or modules.is_symlink():
        return set()
    found = tree.attempt("config", "--file", str(modules), "-z", "--get-regexp", r"^submodule\..*\.path$")
    pairs = (entry.partition("\n") for entry in found.output.decode(errors="surrogateescape").split("\0"))
    return {value for _, _, value in pairs if value}


def _nested_in(tree: Git) -> list[str]:
    """Return the untracked nested repositories, each with a slash at its end: no other directory is listed so."""
    return [name for name in tree.names("ls-files", "--others", "--exclude-standard", "-z") if name.endswith("/")]


def _add_nested(tree: Git, without_index: Git, nested: Sequence[str]) -> None:
    files = [name for directory in nested for name in _files_of(without_index, directory)]
    if not files:
        return
    ignored = tree.attempt("check-ignore", "--no-index", "-z", "--stdin", stdin=_joined(files))
    if ignored.code not in (0, 1):
        raise tree.error(("check-ignore",), ignored)
    left_out = set(ignored.output.decode(errors="surrogateescape").split("\0"))
    kept = [name for name in files if name not in left_out]
    tree.run("update-index", "--add", "--replace", "-z", "--stdin", stdin=_joined(kept))


def _files_of(without_index: Git, directory: str) -> list[str]:
    """Return the files of a nested repository and of those nested in it, as paths from the top.

    With an empty index and a work tree that begins here, git lists them as if their `.git` were not there.
    """
    inside = without_index.place / directory
    view = replace(without_index, work_tree=inside, place=inside)
    files: list[str] = []
    for name in view.names("ls-files", "--others", "--exclude-standard", "-z"):
        whole = directory + name
        files.extend(_files_of(without_index, whole) if name.endswith("/") else [whole])
    return files


def _joined(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\0" for name in names).encode(errors="surrogateescape")

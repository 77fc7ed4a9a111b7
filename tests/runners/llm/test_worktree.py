"""Files of the worktree, and none other: whatever the path, and whatever links lie there."""

import os
from pathlib import Path

import pytest

from workers.runners.llm.worktree import MAX_FILE, MAX_READ, FileRefusal, Worktree


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret.txt").write_text("secret")
    return path


@pytest.fixture
def tree(tmp_path: Path, outside: Path) -> Worktree:
    """Given a worktree with links within it and out of it."""
    root = tmp_path / "tree"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("a = 1\n")
    (root / ".git").write_text("gitdir: elsewhere\n")
    (root / "alias.py").symlink_to("src/a.py")
    (root / "source").symlink_to("src")
    (root / "leak.txt").symlink_to(outside / "secret.txt")
    (root / "out").symlink_to(outside)
    (root / "new.txt").symlink_to(outside / "new.txt")
    (root / "round").symlink_to("round")
    return Worktree(root)


OUTSIDE = [
    "../outside/secret.txt",
    "src/../../outside/secret.txt",
    "/etc/passwd",
    "leak.txt",
    "out/secret.txt",
    "new.txt",
    "source/../../outside/new.txt",
]
GITS = [".git", ".git/config", "src/.git/hooks/pre-commit", ".GIT/config", "source/../.git"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_is_read_or_written(tree: Worktree, outside: Path, path: str) -> None:
    for use in (lambda: tree.read(path), lambda: tree.write(path, "x"), lambda: tree.edit(path, "secret", "x")):
        with pytest.raises(FileRefusal, match="is outside of the working directory"):
            use()
    assert (outside / "secret.txt").read_text() == "secret"
    assert not (outside / "new.txt").exists()


@pytest.mark.parametrize("path", GITS)
def test_what_is_gits_is_left_alone(tree: Worktree, path: str) -> None:
    for use in (lambda: tree.read(path), lambda: tree.write(path, "x")):
        with pytest.raises(FileRefusal, match="belongs to git"):
            use()
    assert (tree.root / ".git").read_text() == "gitdir: elsewhere\n"


def test_links_within_lead_where_they_point(tree: Worktree) -> None:
    assert tree.read("alias.py") == "a = 1\n"
    tree.write("source/b/c.py", "c")
    assert (tree.root / "src/b/c.py").read_text() == "c"
    assert tree.read(str(tree.root / "src" / "a.py")) == "a = 1\n", "an absolute path inside is one inside"
    tree.edit("alias.py", "1", "2")
    assert (tree.root / "alias.py").is_symlink()
    assert (tree.root / "src" / "a.py").read_text() == "a = 2\n"


@pytest.mark.parametrize("place", ["swapped", "swapped/a.txt"])
def test_a_link_that_is_put_there_between_looking_and_opening_leads_nowhere(
    tree: Worktree, outside: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The check finds a plain path; by the time of the opening it is a link out of the worktree."""
    resolve = tree.relative

    def swapped(path: str) -> Path:
        found = resolve(path)
        (tree.root / "swapped").symlink_to(outside / "secret.txt" if place == "swapped" else outside)
        return found

    monkeypatch.setattr(tree, "relative", swapped)
    with pytest.raises(FileRefusal):
        tree.write(place, "x")
    assert sorted(path.name for path in outside.iterdir()) == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "secret"


def test_what_is_no_text_file_is_refused_politely(tree: Worktree) -> None:
    (tree.root / "picture.png").write_bytes(b"\x89PNG\0\0" * 10)
    (tree.root / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (tree.root / "large.txt").write_bytes(b"x" * (MAX_FILE + 1))
    os.mkfifo(tree.root / "pipe")
    refused = {
        "picture.png": "is a binary file of 60 bytes",
        "latin.txt": "is not text in UTF-8",
        "large.txt": "too many to be read",
        "pipe": "no plain file",
        "src": "is a directory",
        ".": "is a directory",
        "nothing.txt": "No such file or directory",
        "round": "Too many levels of symbolic links",
        "a\0b": "NUL",
    }
    for path, reason in refused.items():
        with pytest.raises(FileRefusal, match=reason):
            tree.read(path)
    for path in ("src", "pipe", "src/a.py/b"):
        with pytest.raises(FileRefusal):
            tree.write(path, "x")


def test_a_long_file_is_cut_with_a_note_of_how_to_go_on(tree: Worktree) -> None:
    tree.write("long.txt", "".join(f"{number:07}\n" for number in range(1, 6001)))
    first = tree.read_part("long.txt", 1)
    assert first.startswith("0000001\n")
    assert first.endswith("\n[lines 1 to 3000 of 6000; go on with offset=3001]")
    assert tree.read_part("long.txt", 3001).endswith("0006000\n")
    with pytest.raises(FileRefusal, match="has only 6000 lines"):
        tree.read_part("long.txt", 6001)
    tree.write("line.txt", "x" * (2 * MAX_READ))
    assert len(tree.read_part("line.txt", 1)) < MAX_READ + 100
    tree.write("empty.txt", "")
    assert tree.read_part("empty.txt", 1) == "[the file is empty]"


def test_an_edit_fits_exactly_once(tree: Worktree) -> None:
    tree.write("a.txt", "one two one")
    for old, reason in (("one", "2 times"), ("three", "is not in a.txt"), ("", "is empty")):
        with pytest.raises(FileRefusal, match=reason):
            tree.edit("a.txt", old, "x")
    assert tree.edit("a.txt", "two", "2") == "one 2 one" == tree.read("a.txt")

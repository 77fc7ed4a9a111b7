import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.workspaces import branch_name

HOSTILE = [
    "",
    " ",
    ".",
    "..",
    "../../x",
    "-rf",
    "--upload-pack=evil",
    "a/b",
    "a//b",
    "a b",
    "a..b",
    "a.lock",
    "a.LOCK",
    "a.",
    ".a",
    "a@{1}",
    "@",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[",
    "a\\b",
    "a\nb",
    "a\0b",
    "A-1",
    "a-1=0123456789abcdef",
    "größe",
    "grösse",
    "日本",
    "\ud800",
    "x" * 200,
    "x" * 201,
    "é" * 200,
    "HEAD",
    "refs/heads/main",
    "$(touch x)",
]


@pytest.mark.parametrize("bead_id", ["shop-1", "bd-a3f8.1.2", "a", "x_y", "7", "shop-1.lockstep"])
def test_an_ordinary_id_is_its_own_branch(bead_id: str) -> None:
    assert branch_name(bead_id) == f"bead/{bead_id}"


@pytest.mark.parametrize("bead_id", HOSTILE)
def test_git_accepts_the_branch_of_any_id(bead_id: str) -> None:
    name = branch_name(bead_id)

    subprocess.run(["git", "check-ref-format", "--branch", name], check=True, stdout=subprocess.DEVNULL)
    assert name.startswith("bead/")
    assert name.count("/") == 1
    assert len(name) < 120


def test_no_two_ids_share_a_branch_on_a_file_system_that_ignores_case() -> None:
    ids = [*HOSTILE, "a", "a-1", "a-b", "a1", "head", "x" * 100, branch_name("A-1").removeprefix("bead/")]

    for one, other in combinations(ids, 2):
        assert branch_name(one).casefold() != branch_name(other).casefold(), (one, other)


def test_an_escaped_branch_can_still_be_read() -> None:
    assert branch_name("PROJ-12").startswith("bead/PROJ-12=")
    assert branch_name("fix the café/now").startswith("bead/fix-the-cafe-now=")


@given(st.text(max_size=250), st.text(max_size=250))
def test_branches_are_equal_only_for_equal_ids(one: str, other: str) -> None:
    same = branch_name(one).casefold() == branch_name(other).casefold()

    assert same == (one == other)


def test_all_branches_fit_into_one_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    tree = subprocess.run(
        ["git", "-C", str(tmp_path), "hash-object", "-t", "tree", "-w", "/dev/null"], check=True, capture_output=True
    ).stdout.decode()
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    sha = subprocess.run(
        ["git", "-C", str(tmp_path), *identity, "commit-tree", tree.strip(), "-m", "x"], check=True, capture_output=True
    ).stdout.decode()
    ids = {*HOSTILE, "a"}

    for bead_id in ids:
        ref = f"refs/heads/{branch_name(bead_id)}"
        subprocess.run(["git", "-C", str(tmp_path), "update-ref", ref, sha.strip()], check=True)

    refs = subprocess.run(["git", "-C", str(tmp_path), "for-each-ref"], check=True, capture_output=True).stdout
    assert len(refs.splitlines()) == len(ids)

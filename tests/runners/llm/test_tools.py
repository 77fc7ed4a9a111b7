"""The tools as the model calls them, at their borders: what the conversation's tests do not come to."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dispatch.loops import result_fingerprint
from workers.runners.llm.tools import MOST_FOUND, MOST_LISTED
from workers.runners.llm.worktree import FileRefusal, Worktree

KEY = "sk-planted-2b7e151628aed2a6"


def test_files_that_git_ignores_are_not_listed_and_long_lists_are_cut(talk: Any) -> None:
    (talk.workspace / ".gitignore").write_text("build/\n")
    (talk.workspace / "build").mkdir()
    (talk.workspace / "build" / "x.o").write_text("")
    for number in range(MOST_LISTED + 3):
        (talk.workspace / f"f{number:04}").write_text("y\n")
    tools = talk.toolbox()
    listed = tools.list_files()
    assert listed.splitlines()[:2] == [".gitignore", "f0000"]
    assert listed.endswith("\n[4 more; name a directory]")
    assert "build" not in listed.split("\n", 1)[1]
    assert tools.search("y$").endswith(f"\n[{MOST_LISTED + 3 - MOST_FOUND} more lines match]")


def test_a_directory_without_git_is_listed_and_searched_too(talk: Any) -> None:
    subprocess.run(["rm", str(talk.workspace / ".git")], check=True)
    (talk.workspace / "a").mkdir()
    (talk.workspace / "a" / "b.txt").write_text("needle\n")
    tools = talk.toolbox()
    assert tools.list_files() == "a/b.txt"
    assert tools.search("need.e") == "a/b.txt:1:needle"


def test_git_believes_nothing_that_commands_wrote(talk: Any) -> None:
    """They make a repository whose configuration starts a program, and links to files outside."""
    outside = talk.workspace.parent / "outside"
    outside.mkdir()
    (outside / "known.txt").write_text("needle of the host\n")
    witness = outside / "witness"
    (talk.workspace / "out").mkdir()
    (talk.workspace / "out" / "known.txt").write_text("hay\n")
    for command in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Known"]):
        subprocess.run(["git", *command], cwd=talk.workspace, check=True)
    tools = talk.toolbox()

    told = tools.run_command(
        f"""set -e
        rm -r .git out; mkdir -p evil/objects evil/refs; echo 'ref: refs/heads/x' > evil/HEAD
        printf '[core]\\n\\trepositoryformatversion = 0\\n\\tfsmonitor = echo >> {witness} #\\n' > evil/config
        mkdir deep; cp -r evil deep/.git; echo 'gitdir: evil' > .git; echo '* diff=evil filter=evil' > .gitattributes
        ln -s {outside} out; ln -s {outside}/known.txt link; echo needle > hay.txt; echo needle > deep/hay.txt
        """
    )

    assert told == "[exit code 0]\n"
    listed = tools.list_files().splitlines()
    assert {"hay.txt", "link"} <= set(listed)
    assert "out/known.txt" not in listed, "what is known as a file lies behind a link now"
    assert sorted(tools.search("needle").splitlines()) == ["deep/hay.txt:1:needle", "hay.txt:1:needle"]
    assert not witness.exists()
    subprocess.run(["git", "status"], cwd=talk.workspace, check=False, capture_output=True)
    assert witness.exists(), "it starts its program where it is believed"


def test_paths_as_commands_see_them_are_those_of_the_files(talk: Any) -> None:
    files = Worktree(talk.workspace, Path("/workspace"))
    files.write("/workspace/a/b.txt", "x")
    assert (talk.workspace / "a" / "b.txt").read_text() == files.read("a/b.txt") == "x"
    for path in ("/workspace/../etc/passwd", "/workspace2/a", str(talk.workspace.parent)):
        with pytest.raises(FileRefusal, match="is outside of the working directory"):
            files.read(path)


def test_what_is_outside_is_refused_by_every_tool(talk: Any) -> None:
    tools = talk.toolbox()
    said = [
        tools.list_files(".."),
        tools.search("x", "/etc"),
        tools.read_file("../x"),
        tools.write_file("/tmp/x", "x"),
        tools.edit_file("../x", "a", "b"),
    ]
    assert all("is outside of the working directory" in text for text in said), said
    assert [event["result_hash"] for event in talk.events("action")] == list(map(result_fingerprint, said))


def test_a_file_larger_than_a_line_of_output_is_told_too(talk: Any) -> None:
    tools = talk.toolbox()
    assert tools.write_file("large.txt", "x" * 3_000_000) == "Wrote large.txt, 3,000,000 characters."
    assert tools.edit_file("large.txt", "x" * 3_000_000, "y" * 2_000_000) == "Edited large.txt."
    assert max(map(len, talk.said.getvalue().splitlines())) < 1_000
    first, second = talk.events("action")
    assert first["result_hash"] != second["result_hash"]


def test_a_search_says_that_nothing_matches_or_that_it_cannot_be_read(talk: Any) -> None:
    (talk.workspace / "a.txt").write_text("x\n")
    tools = talk.toolbox()
    assert tools.search("nothing") == "Nothing matches."
    assert tools.search("(").startswith("Error: ")
    assert tools.search("--open-files-in-pager=x") == "Nothing matches.", "a pattern is never an option"


def test_commands_that_cannot_be_run_are_told(talk: Any) -> None:
    tools = talk.toolbox()
    assert tools.run_command(" ") == tools.run_command([]) == "Error: the command is empty."
    assert tools.run_command(["no-such-program"]) == "Error: No such file or directory."


def test_tests_are_offered_where_the_project_has_some(talk: Any) -> None:
    assert "run_tests" not in {tool.__name__ for tool in talk.toolbox().functions()}
    talk.test_command = ("true",)
    assert "run_tests" in {tool.__name__ for tool in talk.toolbox().functions()}


def test_the_key_is_hidden_from_the_model_and_from_dispatch(talk: Any) -> None:
    told = talk.toolbox().run_command(f"printf 'a {KEY} b'")
    assert told == "[exit code 0]\na [key] b"
    assert KEY not in talk.said.getvalue()

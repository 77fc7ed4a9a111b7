"""The AGENTS.md of a workspace: bounded, and never from outside."""

import os
from pathlib import Path

import pytest

from dispatch.context import AGENTS_FILE_ROOM
from workers.agents_file import read_agents_file


def test_it_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("\n# Shop\n\nÄ in cents.\n", encoding="utf-8")
    assert read_agents_file(tmp_path) == "# Shop\n\nÄ in cents."


def test_without_one_nothing_is_said(tmp_path: Path) -> None:
    assert read_agents_file(tmp_path) == ""
    assert read_agents_file(tmp_path / "nowhere") == ""


@pytest.mark.parametrize("character", ["x", "€", "😀"])
def test_a_long_one_is_cut_and_says_so(tmp_path: Path, character: str) -> None:
    path = tmp_path / "AGENTS.md"
    path.write_text(character * (AGENTS_FILE_ROOM + 1), encoding="utf-8")
    told = read_agents_file(tmp_path)
    assert len(told) <= AGENTS_FILE_ROOM
    assert told.endswith(f"[... cut here: the file has {path.stat().st_size:,} bytes ...]")
    path.write_text(character * AGENTS_FILE_ROOM, encoding="utf-8")
    assert read_agents_file(tmp_path) == character * AGENTS_FILE_ROOM


def test_a_huge_one_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "AGENTS.md"
    with path.open("wb") as file:
        file.write(b"Begin.")
        file.truncate(1 << 40)
    told = read_agents_file(tmp_path)
    assert told.startswith("Begin.")
    assert "1,099,511,627,776 bytes" in told


def test_what_is_no_text_is_made_readable(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_bytes(b"a\0b\xff")
    assert read_agents_file(tmp_path) == "a\ufffdb\ufffd"


def test_a_link_is_followed_within_the_workspace_only(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "secret"
    (workspace / "docs").mkdir(parents=True)
    outside.write_text("A key.")
    (workspace / "docs/agents.md").write_text("Inside.")
    link = workspace / "AGENTS.md"
    link.symlink_to("docs/agents.md")
    assert read_agents_file(workspace) == "Inside."
    for target in (outside, Path("../secret"), Path("/proc/self/environ"), Path("docs"), Path("AGENTS.md")):
        link.unlink()
        link.symlink_to(target)
        assert read_agents_file(workspace) == ""


def test_a_directory_on_the_way_may_be_a_link_and_leads_out_no_more(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "elsewhere"
    workspace.mkdir()
    outside.mkdir()
    (outside / "agents.md").write_text("A key.")
    (workspace / "docs").symlink_to(outside)
    (workspace / "AGENTS.md").symlink_to("docs/agents.md")
    assert read_agents_file(workspace) == ""


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "AGENTS.md")
    assert read_agents_file(tmp_path) == ""

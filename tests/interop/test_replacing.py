"""Files are replaced whole or not at all."""

import os
import stat
import sys
from pathlib import Path

import pytest

from dispatch.errors import BadInputError
from dispatch.interop import write_file


def test_a_new_file_has_the_lines_and_the_usual_mode(tmp_path):
    path = tmp_path / "issues.jsonl"
    umask = os.umask(0o027)
    try:
        write_file(path, iter(["{}", '"\u00fc"']))
    finally:
        os.umask(umask)
    assert path.read_bytes() == b'{}\n"\xc3\xbc"\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_existing_file_keeps_its_mode_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "issues.jsonl"
    path.write_text("old\n")
    path.chmod(0o604)
    write_file(path, ["new"])
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new\n", 0o604)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_on_the_way_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "issues.jsonl"
    path.write_text("old\n")

    def lines():
        yield "new"
        raise LookupError("no more")

    with pytest.raises(LookupError):
        write_file(path, lines())
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("keep")
    link = tmp_path / "issues.jsonl"
    link.symlink_to(target)
    with pytest.raises(BadInputError) as raised:
        write_file(link, ["new"])
    assert str(raised.value) == f"{link}: is a symbolic link. Name the file itself: {target}."
    assert target.read_text() == "keep"
    assert link.is_symlink()


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(BadInputError, match=r"is not a file\. Name a file to write\."):
        write_file(tmp_path, ["new"])


def test_a_missing_directory_is_told_with_its_name(tmp_path):
    path = tmp_path / "none" / "issues.jsonl"
    with pytest.raises(BadInputError) as raised:
        write_file(path, ["new"])
    said = f"{path}: cannot be written (No such file or directory). Make the directory {path.parent} first."
    assert str(raised.value) == said


def test_a_file_in_place_of_the_directory_is_told(tmp_path):
    (tmp_path / "file").write_text("keep")
    with pytest.raises(BadInputError, match="cannot be written"):
        write_file(tmp_path / "file" / "issues.jsonl", ["new"])
    assert (tmp_path / "file").read_text() == "keep"


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    directory = tmp_path / "closed"
    if os.geteuid() == 0:  # root writes to any directory of a disk, but not to the kernel's
        directory = Path("/sys/kernel")
        if sys.platform != "linux" or not directory.is_dir():
            pytest.skip("there is no directory that root cannot write to")
    else:
        directory.mkdir(mode=0o500)
    with pytest.raises(BadInputError) as raised:
        write_file(directory / "issues.jsonl", ["new"])
    assert "cannot be written (" in str(raised.value)
    assert not (directory / "issues.jsonl").exists()


def test_a_name_that_is_too_long_is_told(tmp_path):
    with pytest.raises(BadInputError, match=r"Name another file\."):
        write_file(tmp_path / ("x" * 300), ["new"])

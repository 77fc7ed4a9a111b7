"""Empty workspaces: one a run, used again when it was left empty, and collected when its worker died."""

from pathlib import Path

import pytest

from dispatch.models.identity import RunId, uuid7
from dispatch.workspaces import ScratchSpaces


@pytest.fixture
def spaces(tmp_path: Path) -> ScratchSpaces:
    return ScratchSpaces(tmp_path / "root")


def new_run() -> RunId:
    return RunId(uuid7())


def test_each_run_has_an_empty_directory_of_its_own(spaces: ScratchSpaces) -> None:
    first, second = spaces.make(new_run()), spaces.make(new_run())
    assert first != second
    assert list(first.iterdir()) == list(second.iterdir()) == []
    assert first.stat().st_mode & 0o777 == 0o700


def test_what_an_interrupted_try_left_is_not_there_any_more(spaces: ScratchSpaces) -> None:
    run_id, other = new_run(), new_run()
    (spaces.make(run_id) / "left").write_text("from before")
    spaces.make(other)
    spaces.drop(other)
    assert list(spaces.make(run_id).iterdir()) == []


def test_dropping_deletes_what_was_put_into_it_and_may_be_repeated(spaces: ScratchSpaces) -> None:
    run_id = new_run()
    path = spaces.make(run_id)
    closed = path / "closed"
    closed.mkdir()
    (closed / "file").write_text("x")
    closed.chmod(0)
    spaces.drop(run_id)
    spaces.drop(run_id)
    assert not path.exists()


def test_one_that_was_left_empty_is_the_next_ones_and_the_first_has_it_no_more(spaces: ScratchSpaces) -> None:
    first, second, third = new_run(), new_run(), new_run()
    path = spaces.make(first)
    number = path.stat().st_ino
    spaces.drop(first)
    spaces.drop(first)
    again = spaces.make(second)
    assert again.stat().st_ino == number
    assert not path.exists()
    assert spaces.make(third) != again
    assert again.exists()


def test_one_that_was_opened_to_others_is_no_one_elses(spaces: ScratchSpaces) -> None:
    run_id = new_run()
    path = spaces.make(run_id)
    path.chmod(0o777)
    spaces.drop(run_id)
    assert not path.exists()
    assert spaces.make(new_run()).stat().st_mode & 0o777 == 0o700


def test_collecting_keeps_the_open_runs_and_whatever_is_not_a_scratch(tmp_path: Path) -> None:
    spaces = ScratchSpaces(tmp_path)
    kept, ended, spare = new_run(), new_run(), new_run()
    paths = {run_id: spaces.make(run_id) for run_id in (kept, ended, spare)}
    (tmp_path / str(ended)).mkdir()
    spaces.drop(spare)
    assert sorted(spaces.collect(lambda run_id: run_id == kept)) == sorted([ended, spare])
    assert [path.exists() for path in paths.values()] == [True, False, False]
    assert (tmp_path / str(ended)).exists()
    assert spaces.make(new_run()).exists(), "what it had to spare is gone"
    assert ScratchSpaces(tmp_path / "nowhere").collect(lambda _: False) == []

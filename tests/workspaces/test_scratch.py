"""Empty workspaces: one a run, gone with it, and collected when its worker died."""

from pathlib import Path

from dispatch.models.identity import RunId, uuid7
from dispatch.workspaces import collect_scratch, drop_scratch, make_scratch


def test_a_scratch_is_an_empty_directory_of_its_own(tmp_path: Path) -> None:
    one, other = RunId(uuid7()), RunId(uuid7())
    first, second = make_scratch(tmp_path / "root", one), make_scratch(tmp_path / "root", other)
    assert first != second
    assert list(first.iterdir()) == list(second.iterdir()) == []
    assert first.stat().st_mode & 0o777 == 0o700


def test_what_an_interrupted_try_left_is_not_there_any_more(tmp_path: Path) -> None:
    run_id = RunId(uuid7())
    (make_scratch(tmp_path, run_id) / "left").write_text("from before")
    assert list(make_scratch(tmp_path, run_id).iterdir()) == []


def test_dropping_deletes_what_was_put_into_it_and_may_be_repeated(tmp_path: Path) -> None:
    run_id = RunId(uuid7())
    path = make_scratch(tmp_path, run_id)
    closed = path / "closed"
    closed.mkdir()
    (closed / "file").write_text("x")
    closed.chmod(0)
    drop_scratch(tmp_path, run_id)
    drop_scratch(tmp_path, run_id)
    assert not path.exists()


def test_collecting_keeps_the_open_runs_and_whatever_is_not_a_scratch(tmp_path: Path) -> None:
    kept, ended = RunId(uuid7()), RunId(uuid7())
    paths = {run_id: make_scratch(tmp_path, run_id) for run_id in (kept, ended)}
    (tmp_path / str(ended)).mkdir()
    assert collect_scratch(tmp_path, lambda run_id: run_id == kept) == [ended]
    assert (paths[kept].exists(), paths[ended].exists(), (tmp_path / str(ended)).exists()) == (True, False, True)
    assert collect_scratch(tmp_path / "nowhere", lambda _: False) == []

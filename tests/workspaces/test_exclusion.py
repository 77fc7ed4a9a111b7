import pytest

from dispatch.errors import BadInputError, ConfigurationError
from dispatch.workspaces import ignore_home


def test_a_home_inside_the_repository_disappears_from_status(shop):
    (shop.path / ".dispatch" / "worktrees").mkdir(parents=True)
    (shop.path / ".dispatch" / "worktrees" / "file").write_text("x")
    assert shop.git("status", "--porcelain") == "?? .dispatch/"

    assert ignore_home(shop.path, shop.path / ".dispatch")

    assert shop.git("status", "--porcelain") == ""


def test_the_line_is_added_once_and_what_was_there_stays(shop):
    exclude = shop.path / ".git" / "info" / "exclude"
    exclude.write_text("*.tmp")

    assert ignore_home(shop.path, shop.path / ".dispatch")
    assert not ignore_home(shop.path, shop.path / ".dispatch")

    assert exclude.read_text() == "*.tmp\n/.dispatch/\n"


def test_a_missing_info_directory_is_made(shop):
    exclude = shop.path / ".git" / "info" / "exclude"
    exclude.unlink()
    exclude.parent.rmdir()

    assert ignore_home(shop.path, shop.path / ".dispatch")
    assert exclude.read_text() == "/.dispatch/\n"


@pytest.mark.parametrize("name", ["a b", "a*", "[a]", "a\\b", "#a", "!a", "a ", "ü"])
def test_any_name_is_matched_as_it_is_written(shop, name):
    (shop.path / name).mkdir()
    (shop.path / name / "file").write_text("x")
    (shop.path / "axb").write_text("x")

    assert ignore_home(shop.path, shop.path / name)

    assert shop.git("status", "--porcelain") == "?? axb"


@pytest.mark.parametrize("home", [".", "..", "../elsewhere", ".git/dispatch"])
def test_a_home_that_is_not_among_the_files_needs_nothing(shop, home):
    before = (shop.path / ".git" / "info" / "exclude").read_text()

    assert not ignore_home(shop.path, shop.path / home)
    assert (shop.path / ".git" / "info" / "exclude").read_text() == before


def test_all_worktrees_of_the_repository_share_the_line(shop, tmp_path):
    shop.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "second"))
    (tmp_path / "second" / ".dispatch").mkdir()
    (tmp_path / "second" / ".dispatch" / "file").write_text("x")

    assert ignore_home(tmp_path / "second", tmp_path / "second" / ".dispatch")

    assert shop.git("-C", str(tmp_path / "second"), "status", "--porcelain") == ""


def test_a_line_break_cannot_be_written(shop):
    with pytest.raises(BadInputError, match="line break"):
        ignore_home(shop.path, shop.path / "a\nb")


def test_only_a_repository_can_ignore(tmp_path):
    with pytest.raises(ConfigurationError):
        ignore_home(tmp_path, tmp_path / "home")

"""`project add`, `project list`, and which project is meant when none is named."""

import pytest

from dispatch.cli.options import chosen_project, project_name
from dispatch.errors import UsageError
from dispatch.models.identity import ProjectId


def test_a_repository_becomes_a_project_named_after_its_directory(cli, repository):
    assert cli("project", "add", repository).out == f"repository  {repository}\n"
    (project,) = cli("project", "list", "--json").json
    assert (project["id"], project["path"], project["paused"]) == ("repository", str(repository), False)
    assert cli("project", "list").out == f"repository\t{repository}\tmerge\t\n"


def test_adding_it_again_changes_nothing_and_another_path_is_refused(cli, repository, tmp_path):
    assert cli("project", "add", repository, "--id", "shop", "--json").json["id"] == "shop"
    assert cli("project", "add", repository, "--id", "shop").code == 0
    (tmp_path / "other").mkdir()
    repository.rename(tmp_path / "other" / "place")
    said = cli("project", "add", tmp_path / "other" / "place", "--id", "shop")
    assert said.code == 4
    assert "is at" in said.err


def test_beads_in_the_repository_are_pointed_out(cli, repository):
    (repository / ".beads").mkdir()
    (repository / ".beads" / "issues.jsonl").write_text("")
    assert "dispatch import" in cli("project", "add", repository).err


def test_our_home_inside_the_repository_is_kept_out_of_git(cli, repository, monkeypatch):
    monkeypatch.setenv("DISPATCH_HOME", str(repository / ".dispatch"))
    cli("project", "add", repository)
    assert "/.dispatch/" in (repository / ".git" / "info" / "exclude").read_text().splitlines()


@pytest.mark.parametrize("project_id", ["", "a/b", "-x", "a b"])
def test_an_id_that_the_configuration_could_not_name_is_refused(cli, repository, project_id):
    said = cli("project", "add", repository, f"--id={project_id}")
    assert said.code == 2
    assert "cannot be the id of a project" in said.err


def test_what_is_no_repository_is_refused(cli, tmp_path):
    said = cli("project", "add", tmp_path)
    assert said.code == 2
    assert "not a usable git repository" in said.err


@pytest.mark.parametrize(
    ("name", "suggested"), [("shop", "shop"), ("My Shop!", "My-Shop"), ("_x.y-", "x.y"), ("é", "")]
)
def test_a_directory_suggests_an_id(tmp_path, name, suggested):
    assert project_name(tmp_path / name) == suggested


class TestWhichProjectIsMeant:
    def test_the_named_one(self, store, project, tmp_path):
        store.projects.add(ProjectId("other"), tmp_path / "other")
        assert chosen_project(store, "shop", tmp_path / "other").id == "shop"

    def test_the_one_around_the_working_directory_the_innermost_first(self, store, project, repository):
        store.projects.add(ProjectId("inner"), repository / "inner")
        assert chosen_project(store, None, repository / "src").id == "shop"
        assert chosen_project(store, None, repository / "inner" / "src").id == "inner"

    def test_the_only_one(self, store, project, tmp_path):
        assert chosen_project(store, None, tmp_path).id == "shop"

    def test_otherwise_the_choice_is_shown(self, store, project, tmp_path):
        store.projects.add(ProjectId("other"), tmp_path / "other")
        with pytest.raises(UsageError, match="Say `--project` with one of: shop, other"):
            chosen_project(store, None, tmp_path)

    def test_and_without_any_how_to_add_one(self, store, tmp_path):
        with pytest.raises(UsageError, match="dispatch project add PATH"):
            chosen_project(store, None, tmp_path)

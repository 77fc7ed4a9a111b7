"""How work lands, as the command line tells it."""

import subprocess
from pathlib import Path

from dispatch.models.identity import BeadKey
from dispatch.models.landing import PullRequest
from dispatch.store import Store
from tests.cli.conftest import Call

PUSHED = PullRequest(
    branch="bead/shop-1",
    base="main",
    head_sha="a" * 40,
    pushed_sha="b" * 40,
    tip_sha="c" * 40,
    is_pushed=True,
    command="gh pr create --head bead/shop-1",
)


def _git(place: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=place, check=True, capture_output=True)


def test_how_a_project_lands_is_shown_where_one_looks(cli: Call, repository: Path, tmp_path: Path, monkeypatch) -> None:
    cli("project", "add", repository, "--id", "shop")
    assert "merge" in cli("project", "list").out
    assert cli("plan", "--json").json["landing"] == {"shop": "merge"}

    _git(tmp_path, "clone", "--quiet", "--bare", str(repository), "remote.git")
    _git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    monkeypatch.setenv("DISPATCH_PROJECTS__SHOP__TEST_COMMAND", '["git"]')
    assert cli("project", "list", "--json").json[0]["landing"] == "pr"
    cli("add", "Do it")
    assert "Work of shop lands by a pull request (landing = pr)." in cli("plan").err
    (found,) = [line["found"] for line in cli("doctor", "--json").json if line["part"] == "project shop"]
    assert "landing = pr" in found
    monkeypatch.setenv("DISPATCH_PROJECTS__SHOP__PATH", str(repository))
    told = cli("config")
    assert 'projects.shop.landing\t"auto"\tdefault' in told.out
    assert "projects.shop.landing is pr here." in told.err


def test_a_project_that_is_not_on_this_host_is_looked_for_at_its_url(
    cli: Call, repository, tmp_path, monkeypatch
) -> None:
    cli("project", "add", repository, "--id", "shop")
    monkeypatch.setenv("DISPATCH_PROJECTS__SHOP__URL", str(repository))
    monkeypatch.setenv("DISPATCH_PROJECTS__SHOP__TEST_COMMAND", '["git"]')
    repository.rename(tmp_path / "moved")

    def told() -> tuple[str, str]:
        (line,) = [line for line in cli("doctor", "--json").json if line["part"] == "project shop"]
        return line["health"], line["found"]

    assert told()[0] == "broken"
    monkeypatch.setenv("DISPATCH_PROJECTS__SHOP__URL", str(tmp_path / "moved"))
    assert told()[0] == "ok"
    assert "in a clone that its first run makes" in told()[1]


def test_a_pull_request_is_shown_with_its_bead_and_in_the_inbox(cli: Call, repository: Path, store: Store) -> None:
    cli("project", "add", repository, "--id", "shop")
    bead = cli("add", "Do it", "--json").json["id"]
    key = BeadKey.of("shop", bead)
    store.pull_requests.note(key, PUSHED)
    command = "gh pr create --head bead/shop-1"
    waits = f"Its branch bead/shop-1 is pushed and waits for its pull request; open it by: {command}"

    shown = cli("show", bead)
    assert "pull request:\n  bead/shop-1 at bbbbbbbbbbbb, into main\n" in shown.out
    assert waits in shown.out
    assert cli("show", bead, "--json").json["pull_request"]["command"] == command
    assert "gh pr create" not in cli("inbox").out, "its bead does not wait to land"
    with store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE beads SET status = 'landing'")
    assert f"{key}  {waits}" in cli("inbox").out


def test_a_worker_that_takes_nothing_says_why(cli: Call, store: Store, enlist) -> None:
    worker = enlist("role.dev", agents=1)
    store.swarm.heartbeat(worker, "The disk is full.")
    assert f"{worker.node} takes nothing: The disk is full." in cli("status").out

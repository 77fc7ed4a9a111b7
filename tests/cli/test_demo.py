"""The demo as `make run` plays it: real servers, Celery workers and repositories; agents that follow a script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dispatch import embedded
from dispatch.cli.demo.scene import literal_agent, remove_scene, replace_scene
from dispatch.cli.demo.shop import ASKING, BEADS, FILED, LOOPING, NAMED, OVERRUN, RETRIED, REVIEWED, ROLES, TAUGHT
from dispatch.errors import RefusedError
from dispatch.models.identity import BeadKey
from dispatch.models.outcome import Completed, Failed, Looped, NeedsInput, TimedOut
from dispatch.models.run import Run
from dispatch.settings import load_settings
from dispatch.wiring import find_servers, open_store

PROGRAM = [sys.executable, "-c", "from dispatch.cli import main; main()"]
pytestmark = pytest.mark.xdist_group("demo")


def call(*arguments: object, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a directory."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
    )


def left_running(home: Path) -> list[str]:
    """Return the processes that know of a home by their command or environment, but for this one and its parents."""
    found = []
    ours = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            known = [*process.cmdline(), process.environ().get("DISPATCH_HOME", "")]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid not in ours and any(str(home) in text for text in known):
            found.append(" ".join(process.cmdline()))
    return found


def runs_of_all_beads(home: Path) -> dict[str, tuple[str, list[Run]]]:
    """Return status and runs, from the first to the last, of every bead."""
    settings = load_settings(home=home, config=home / "dispatch.toml", environ={})
    store = open_store(settings, find_servers(settings))
    try:
        return {
            bead.id: (
                store.reading.bead(BeadKey.of("shop", bead.id)).status,
                store.reading.runs(bead=BeadKey.of("shop", bead.id))[::-1],
            )
            for bead in BEADS
        }
    finally:
        store.close()


@pytest.mark.timeout(170)
def test_the_demo_carries_every_bead_to_main_and_leaves_nothing_running(tmp_path: Path) -> None:
    home = tmp_path / ".dispatch-demo"
    played = call("demo", cwd=tmp_path, DISPATCH_DATABASE_URL="postgresql://nowhere.invalid/production")
    assert played.returncode == 0, played.stdout + played.stderr
    assert left_running(home) == []
    try:
        stories = runs_of_all_beads(home)
    finally:
        embedded.purge(home)
    assert {status for status, _ in stories.values()} == {"closed"}

    retried = [run.outcome for run in stories[RETRIED][1]]
    assert len(retried) == 2
    assert isinstance(retried[0], Failed)
    assert retried[0].cause == "tests failed"
    assert isinstance(retried[1], Completed)
    overrun = [run.outcome for run in stories[OVERRUN][1]]
    assert isinstance(overrun[0], TimedOut)
    assert isinstance(overrun[-1], Completed)

    assert stories[FILED][1][0].role == "backend-engineer"
    assert stories[NAMED][1][0].role == "qa-engineer"
    assert [type(run.outcome) for run in stories[LOOPING][1]] == [Looped, Looped, Completed]
    assert [type(run.outcome) for run in stories[ASKING][1]] == [NeedsInput, Completed]
    assert "total { color: seagreen; }" in (home / "tinyshop" / "tinyshop" / "pages" / "style.css").read_text()
    assert "The demo decides for you: answer. seagreen" in played.stdout
    assert [type(run.outcome) for run in stories[TAUGHT][1]] == [Completed]
    reviewed = [run.outcome.verdict for run in stories[REVIEWED][1] if isinstance(run.outcome, Completed)]
    assert reviewed == ["", "rejected", "rejected", "", "approved", "approved", ""]

    log = subprocess.run(
        ["git", "log", "--format=%s", "main"], cwd=home / "tinyshop", capture_output=True, text=True, check=True
    ).stdout.splitlines()
    finished = {line.partition(" (attempt ")[0] for line in log}
    assert {bead.title for bead in BEADS} < finished
    assert "Flower: http://127.0.0.1:" in played.stdout
    assert "no key, no network" in played.stdout
    assert f"--home {home} show {RETRIED}" in played.stdout


def test_the_sample_has_four_roles_and_a_red_test_at_first(tmp_path: Path) -> None:
    settings = replace_scene(tmp_path / "scene")
    repository = settings.home / "tinyshop"
    lines = (repository / ".beads" / "issues.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [bead.id for bead in BEADS]
    assert {bead.role for bead in BEADS if bead.role} < set(ROLES) == set(settings.roles)
    assert sum(worker.concurrency for worker in settings.workers.values()) == 4
    assert settings.runners["literal"].argv == (sys.executable, str(literal_agent()))
    tests = subprocess.run(settings.projects["shop"].test_command, cwd=repository, capture_output=True, check=False)
    assert tests.returncode == 1


def test_a_demo_replaces_the_directory_of_an_earlier_one(tmp_path: Path) -> None:
    directory = tmp_path / "scene"
    replace_scene(directory)
    (directory / "tinyshop" / "left.txt").write_text("from the first one")
    replace_scene(directory)
    assert not (directory / "tinyshop" / "left.txt").exists()
    remove_scene(directory)
    assert not directory.exists()


def test_a_demo_never_replaces_a_directory_that_no_demo_made(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RefusedError, match="was not made by a demo"):
        replace_scene(tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_demo_is_refused_while_another_one_runs_in_its_directory(tmp_path: Path) -> None:
    replace_scene(tmp_path / "scene")
    with embedded.UpLock(tmp_path / "scene"), pytest.raises(RefusedError, match="already runs"):
        remove_scene(tmp_path / "scene")
    assert (tmp_path / "scene" / "tinyshop").is_dir()


AGENT = """
home = "home"

[workers.agents]
roles = ["backend-engineer"]

[runners.mine]
kind = "command"
argv = [{argv}]

[roles.backend-engineer]
runners = ["mine"]
task_timeout = "20m"

[projects.mine]
path = "."
default_role = "backend-engineer"
"""


@pytest.fixture
def own(repository: Path) -> Path:
    """Given a repository with three beads, of which the last waits for the first."""
    (repository / ".gitignore").write_text("home/\ndispatch.toml\n")
    beads = [
        {"id": "my-1", "title": "First", "description": "```file one.txt\n1\n```\n", "priority": 1},
        {"id": "my-2", "title": "Second", "description": "```file two.txt\n2\n```\n", "priority": 2},
        {"id": "my-3", "title": "Third", "description": "```file three.txt\n3\n```\n", "priority": 2},
    ]
    beads[2]["dependencies"] = [{"issue_id": "my-3", "depends_on_id": "my-1", "type": "blocks"}]
    (repository / ".beads").mkdir()
    text = "".join(json.dumps({"_type": "issue", "status": "open", **bead}) + "\n" for bead in beads)
    (repository / ".beads" / "issues.jsonl").write_text(text)
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "Plan"], cwd=repository, check=True)
    return repository


def test_with_no_agent_named_a_project_of_ones_own_is_not_begun(own: Path) -> None:
    refused = call("demo", "--project", own, cwd=own)
    assert refused.returncode == 2
    assert "no agent is named" in refused.stderr
    assert "[runners.mine]" in refused.stderr
    assert not (own / ".dispatch").exists()


def test_a_directory_without_beads_is_refused(tmp_path: Path) -> None:
    refused = call("demo", "--project", tmp_path, cwd=tmp_path)
    assert refused.returncode == 6
    assert ".beads/issues.jsonl" in refused.stderr


@pytest.mark.timeout(170)
def test_a_project_of_ones_own_is_shown_a_plan_and_worked_on_only_when_told(own: Path) -> None:
    argv = ", ".join(json.dumps(str(word)) for word in (sys.executable, literal_agent()))
    (own / "dispatch.toml").write_text(AGENT.format(argv=argv))
    try:
        planned = call("demo", "--project", own, cwd=own.parent)
        assert planned.returncode == 0, planned.stderr
        rows = [line.split("\t") for line in planned.stdout.splitlines()]
        assert [row[:5] for row in rows] == [
            ["my-1", "First", "backend-engineer", "mine", "20m"],
            ["my-2", "Second", "backend-engineer", "mine", "20m"],
        ]
        assert (
            "Runs now: 2, 2 at a time, each at most 20m. Beads that wait for others and go then: 1." in planned.stderr
        )
        assert "Nothing was started" in planned.stderr
        assert not (own / "one.txt").exists()

        done = call("demo", "--project", own, "--go", cwd=own.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [(own / name).read_text() for name in ("one.txt", "two.txt", "three.txt")] == ["1\n", "2\n", "3\n"]
    finally:
        embedded.down(own / "home")
        embedded.purge(own / "home")
    assert left_running(own / "home") == []


def test_go_without_a_project_is_a_mistake(tmp_path: Path) -> None:
    refused = call("demo", "--go", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--project PATH" in refused.stderr

"""`doctor`: each part that is broken is named with its cure."""

import shutil

import pytest

from tests.podman import IMAGE, Podman

CONFIG = """
[runners.mine]
kind = "command"
argv = [{program}]

[roles.backend-engineer]
runners = ["mine"]

[projects.shop]
test_command = {test_command}
target_branch = "{branch}"
"""


@pytest.fixture
def configured(cli, tmp_path):
    """Return a function that calls the doctor on a configuration, and returns its code and the findings by part."""

    def examine(program: str = '"true"', test_command: str = '["true"]', branch: str = "main"):
        config = tmp_path / "dispatch.toml"
        config.write_text(CONFIG.format(program=program, test_command=test_command, branch=branch))
        said = cli("--config", config, "doctor", "--json")
        return said.code, {finding["part"]: finding for finding in said.json}

    return examine


@pytest.fixture
def running(enlist, cli):
    """Given workers on every queue, and a tick that has just been."""
    enlist("control", "results", "landing")
    enlist("role.backend-engineer", agents=1)
    assert cli("tick").code == 0


def test_all_is_well(configured, project, running):
    code, findings = configured()
    assert {part: finding["found"] for part, finding in findings.items() if finding["health"] != "ok"} == {}
    assert code == 0
    parts = ["git", "configuration", "database", "broker", "schema", "tick"]
    queues = [f"queue {queue}" for queue in ("control", "results", "landing", "role.backend-engineer")]
    assert findings.keys() == {*parts, *queues, "runner mine", "project shop", "lessons"}


def test_a_deployment_that_was_never_started_is_broken_and_says_how_to_start_it(configured, project):
    code, findings = configured()
    broken = {part for part, finding in findings.items() if finding["health"] == "broken"}
    queues = {f"queue {queue}" for queue in ("control", "results", "landing", "role.backend-engineer")}
    assert (code, broken) == (1, {*queues, "tick"})
    assert all("dispatch up" in findings[part]["cure"] for part in broken)


def test_a_runner_a_test_program_and_a_branch_that_are_not_there(configured, project, running):
    code, findings = configured(program='"no-such-agent"', test_command='["no-such-test"]')
    assert code == 1
    assert "'no-such-agent' is not on PATH" in findings["runner mine"]["found"]
    assert "'no-such-test' is not on PATH" in findings["project shop"]["found"]
    assert "no branch 'trunk'" in configured(branch="trunk")[1]["project shop"]["found"]


def test_a_preset_whose_program_is_missing_or_does_not_answer(cli, tmp_path, project, running):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no binary >&2\nexit 7\n")
    broken.chmod(0o755)
    config = tmp_path / "dispatch.toml"
    text = '[runners.one]\npreset = "codex"\nargv = ["no-such-codex"]\n[runners.two]\npreset = "opencode"\n'
    config.write_text(f'{text}argv = ["./broken", "--model", "x"]\n[runners.four]\npreset = "any"\nargv = ["true"]\n')
    findings = {finding["part"]: finding for finding in cli("--config", config, "doctor", "--json").json}
    assert findings["runner one"]["found"] == "the program 'no-such-codex' is not on PATH"
    assert findings["runner two"]["found"] == "./broken ends with 7 when asked for its version: no binary"
    assert "[runners.two]" in findings["runner two"]["cure"]
    assert [findings[f"runner {name}"]["health"] for name in ("one", "two", "four")] == ["broken", "broken", "ok"]


def test_a_missing_test_command_is_a_warning(configured, project, running):
    code, findings = configured(test_command="[]")
    assert code == 0
    assert (findings["project shop"]["health"], "untested" in findings["project shop"]["found"]) == ("warning", True)


def test_a_project_whose_repository_is_gone(configured, project, repository, running):
    shutil.rmtree(repository)
    code, findings = configured()
    assert code == 1
    assert "there is no such directory" in findings["project shop"]["found"]


def test_beads_that_nobody_here_holds_are_a_warning(configured, cli, project, running, beads_file):
    cli("import", beads_file({"id": "shop-1", "title": "Left", "status": "in_progress"}))
    code, findings = configured()
    assert code == 0
    assert "shop/shop-1" in findings["beads"]["found"]
    assert "dispatch adopt" in findings["beads"]["cure"]


def test_servers_that_are_away_end_the_examination_with_their_names(configured, monkeypatch, project):
    monkeypatch.setenv("DISPATCH_BROKER_URL", "redis://127.0.0.1:1/0")
    assert configured()[1]["broker"]["health"] == "broken"
    monkeypatch.setenv("DISPATCH_DATABASE_URL", "postgresql://127.0.0.1:1/dispatch")
    code, findings = configured()
    assert code == 1
    assert "PostgreSQL at postgresql+psycopg://127.0.0.1:1/dispatch" in findings["servers"]["found"]


def test_a_broken_configuration_is_a_finding_too(cli, tmp_path):
    config = tmp_path / "dispatch.toml"
    config.write_text("nonsense = 1\n")
    said = cli("--config", config, "doctor")
    assert said.code == 1
    assert "broken   configuration: " in said.out
    assert "dispatch.toml:1" in said.out


def test_without_roles_no_agent_can_work(cli, project):
    said = cli("doctor")
    assert "warning  roles: no role is configured, so no agent can work." in said.out


def test_a_faulty_workflow_is_named_with_its_line_and_what_stands_on_it_is_left_out(
    configured, project, running, tmp_path, monkeypatch
):
    monkeypatch.setenv("DISPATCH_WORKFLOWS__DIRECTORY", str(tmp_path / "flows"))
    file = tmp_path / "flows" / "release.toml"
    file.parent.mkdir()
    file.write_text('name = "release"\nstart = "a"\n[nodes.a]\non = { success = "done" }\n')
    assert configured()[1]["workflows"]["found"] == f"1 in {tmp_path / 'flows'}"

    file.write_text('name = "release"\nstart = "b"\n[nodes.a]\non = { success = "done" }\n')
    code, findings = configured()

    assert code == 1
    told = findings["workflow release"]
    assert told["found"] == f'{file}:2: it starts at the unknown node "b". Name one of its nodes: a.'
    assert "servers" not in findings


CONTAINERS = """
[runners.mine]
kind = "command"
argv = ["agent-of-image"]
isolation = "container"

[runners.model]
kind = "llm"
isolation = "container"

[providers.main]
kind = "openai"
model = "some"
api_key_env = "NOT_SET_HERE"

[roles.backend-engineer]
runners = ["mine"]

[projects.shop]
image = "{image}"
test_command = ["test-of-image"]
"""


@pytest.mark.parametrize(
    ("image", "health", "told"),
    [(IMAGE, "ok", IMAGE), ("nobodys:1", "broken", "has no image 'nobodys:1', which [projects.shop] names")],
)
def test_the_engine_and_the_images_are_looked_at_when_something_needs_them(
    cli, project, running, tmp_path, monkeypatch, podman: Podman, image, health, told
):
    """The programs of the runner and of the tests are in the image, so they are not looked for here."""
    monkeypatch.setenv("DISPATCH_CONTAINERS__ENGINE", podman.address)
    (tmp_path / "dispatch.toml").write_text(CONTAINERS.format(image=image))
    findings = {one["part"]: one for one in cli("--config", tmp_path / "dispatch.toml", "doctor", "--json").json}

    assert findings["containers"]["found"].startswith("Podman ")
    assert (findings["image of shop"]["health"], told in findings["image of shop"]["found"]) == (health, True)
    assert findings["runner mine"]["found"] == "agent-of-image in the image of the project"
    assert findings["runner model"]["found"].endswith(", its commands in the image of the project")
    assert {findings[part]["health"] for part in ("containers", "runner mine", "project shop")} == {"ok"}


def test_an_engine_that_is_away_is_broken_with_its_cure(cli, project, tmp_path, monkeypatch):
    monkeypatch.setenv("DISPATCH_CONTAINERS__ENGINE", f"unix://{tmp_path}/none.sock")
    (tmp_path / "dispatch.toml").write_text(CONTAINERS.format(image=IMAGE))
    said = cli("--config", tmp_path / "dispatch.toml", "doctor")
    assert f"broken   containers: The container engine at unix://{tmp_path}/none.sock does not answer" in said.out
    assert "[containers] engine" in said.out
    assert "image of shop" not in said.out

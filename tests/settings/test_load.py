"""Finding the configuration and the home, and which source wins."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dispatch.errors import ConfigurationError
from dispatch.settings import DispatchMode, Landing, Pool, RunnerKind, load_settings

FULL = """\
home = "state"
database_url = "postgresql://fleet:secret@db/dispatch"
broker_url = "redis://:secret@broker:6379/0"
result_backend_url = ""
key_prefix = "blue"
[dispatch]
dispatch_mode = "auto"
tick_interval = "1s"
task_timeout = "20m"
hard_grace = 90
heartbeat = "2s"
lease = "9s"
max_running = 7
[guards]
max_failures = 3
cooldown = ["1s", "1m"]
[workers.agents]
roles = ["backend-engineer"]
concurrency = 4
pool = "threads"
[runners.mine]
kind = "command"
argv = ["python", "agent.py"]
env = ["OPENAI_API_KEY"]
[runners.own]
kind = "python"
target = "agents.fixer:run"
[roles.backend-engineer]
runners = ["mine", "own"]
slots = 2
aliases = ["Backend"]
instructions = "personas/backend.md"
task_timeout = "45m"
[projects.shop]
path = "src/shop"
target_branch = "trunk"
default_role = "backend"
test_command = ["make", "test"]
landing = "none"
task_timeout = "10m"
"""


def test_every_key_of_the_file_is_read(tmp_path: Path, read):
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "backend.md").write_text("You are careful.")
    settings = read(FULL)
    assert settings.home == tmp_path / "state"
    assert settings.database_url == "postgresql://fleet:secret@db/dispatch"
    assert settings.effective_result_backend == settings.broker_url == "redis://:secret@broker:6379/0"
    assert settings.key_prefix == "blue"
    assert settings.dispatch.dispatch_mode is DispatchMode.AUTO
    assert settings.dispatch.hard_grace == timedelta(seconds=90)
    assert settings.dispatch.max_running == 7
    assert settings.guards.max_failures == 3
    assert (settings.guards.first_cooldown, settings.guards.longest_cooldown) == (
        timedelta(seconds=1),
        timedelta(minutes=1),
    )
    assert settings.workers["agents"].roles == ("backend-engineer",)
    assert (settings.workers["agents"].concurrency, settings.workers["agents"].pool) == (4, Pool.THREADS)
    assert settings.runners["mine"].argv == ("python", "agent.py")
    assert settings.runners["mine"].env == ("OPENAI_API_KEY",)
    assert (settings.runners["own"].kind, settings.runners["own"].target) == (RunnerKind.PYTHON, "agents.fixer:run")
    assert settings.role("backend-engineer").instructions == tmp_path / "personas" / "backend.md"
    assert settings.role("backend-engineer").slots == 2
    project = settings.project("shop")
    assert (project.path, project.target_branch, project.landing) == (tmp_path / "src/shop", "trunk", Landing.NONE)
    assert project.test_command == ("make", "test")


def test_without_a_file_everything_has_its_default(tmp_path: Path):
    settings = load_settings(environ={}, cwd=tmp_path)
    assert settings.config_file is None
    assert settings.home == tmp_path / ".dispatch"
    assert settings.is_embedded_database
    assert settings.is_embedded_broker
    assert settings.effective_result_backend == ""
    assert settings.dispatch.tick_interval == timedelta(seconds=5)
    assert settings.dispatch.task_timeout == timedelta(minutes=30)
    assert settings.dispatch.grace == timedelta(seconds=5)
    assert settings.dispatch.hard_grace == timedelta(seconds=60)
    assert settings.dispatch.heartbeat == timedelta(seconds=10)
    assert settings.dispatch.lease == timedelta(seconds=45)
    assert settings.guards.cooldown == (timedelta(seconds=10), timedelta(minutes=5))
    assert settings.project("any").default_role == "engineering-manager"


class TestWhichSourceWins:
    def test_the_environment_goes_before_the_file_and_a_flag_before_both(self, read):
        text = '[dispatch]\nlease = "30s"\nheartbeat = "3s"\ntask_timeout = "1m"'
        environ = {"DISPATCH_DISPATCH__LEASE": "40s", "DISPATCH_DISPATCH__TASK_TIMEOUT": "2m"}
        dispatch = read(text, environ, {"dispatch.lease": "50s", "dispatch.heartbeat": None}).dispatch
        assert dispatch.lease == timedelta(seconds=50)
        assert dispatch.task_timeout == timedelta(minutes=2)
        assert dispatch.heartbeat == timedelta(seconds=3)

    def test_a_variable_changes_one_key_of_a_role_and_leaves_the_others(self, read):
        text = '[runners.r]\nkind = "command"\nargv = ["a"]\n[roles.qa-engineer]\nrunners = ["r"]\nslots = 1'
        role = read(text, {"DISPATCH_ROLES__QA_ENGINEER__SLOTS": "5"}).role("qa-engineer")
        assert (role.runners, role.slots) == (("r",), 5)

    def test_a_variable_takes_up_a_name_that_the_file_spells_its_own_way(self, read):
        settings = read('[projects.Big_Shop]\ntarget_branch = "a"', {"DISPATCH_PROJECTS__BIG_SHOP__LANDING": "none"})
        assert settings.project("Big_Shop").landing is Landing.NONE
        assert settings.project("Big_Shop").target_branch == "a"

    def test_lists_and_tables_of_the_environment_are_json(self, read):
        environ = {
            "DISPATCH_RUNNERS": '{"r": {"kind": "command", "argv": ["a", "b c"]}}',
            "DISPATCH_ROLES__DEV__RUNNERS": '["r"]',
            "DISPATCH_GUARDS__COOLDOWN": '["1s", "2s"]',
            "DISPATCH_PROJECTS__SHOP": '{"landing": "none"}',
            "DISPATCH_PROJECTS__SHOP__TARGET_BRANCH": "trunk",
        }
        settings = read("", environ)
        assert settings.runners["r"].argv == ("a", "b c")
        assert settings.role("dev").runners == ("r",)
        assert settings.guards.longest_cooldown == timedelta(seconds=2)
        assert settings.project("shop").landing is Landing.NONE
        assert settings.project("shop").target_branch == "trunk"

    def test_variables_of_other_programs_and_our_other_ones_are_let_be(self, read):
        settings = read("", {"PATH": "/bin", "DISPATCH_ASSIGNMENT": "/x", "DISPATCHER": "y"})
        assert settings.key_prefix == "dispatch"

    def test_the_environment_of_the_process_is_read_when_no_other_is_given(self, monkeypatch, tmp_path: Path):
        monkeypatch.setenv("DISPATCH_KEY_PREFIX", "green")
        monkeypatch.chdir(tmp_path)
        assert load_settings().key_prefix == "green"


class TestWhereTheFileIs:
    def test_it_is_the_nearest_above_the_working_directory(self, tmp_path: Path):
        below = tmp_path / "a" / "b"
        below.mkdir(parents=True)
        (tmp_path / "dispatch.toml").write_text('key_prefix = "far"')
        (tmp_path / "a" / "dispatch.toml").write_text('key_prefix = "near"')
        settings = load_settings(environ={}, cwd=below)
        assert (settings.key_prefix, settings.config_file) == ("near", tmp_path / "a" / "dispatch.toml")

    def test_the_one_in_an_explicit_home_goes_before_the_nearest(self, tmp_path: Path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "dispatch.toml").write_text('key_prefix = "of-home"')
        (tmp_path / "dispatch.toml").write_text('key_prefix = "near"')
        assert load_settings(home=tmp_path / "home", environ={}, cwd=tmp_path).key_prefix == "of-home"
        assert load_settings(environ={"DISPATCH_HOME": "home"}, cwd=tmp_path).key_prefix == "of-home"
        assert load_settings(home=Path("other"), environ={}, cwd=tmp_path).key_prefix == "near"

    def test_a_named_one_goes_before_all_and_the_argument_before_the_variable(self, tmp_path: Path):
        for name in ("dispatch", "argument", "variable"):
            (tmp_path / f"{name}.toml").write_text(f'key_prefix = "{name}"')
        environ = {"DISPATCH_CONFIG": "variable.toml"}
        assert load_settings(environ=environ, cwd=tmp_path).key_prefix == "variable"
        assert load_settings(config=Path("argument.toml"), environ=environ, cwd=tmp_path).key_prefix == "argument"

    def test_a_named_one_that_does_not_exist_is_an_error_that_tells_who_named_it(self, tmp_path: Path):
        with pytest.raises(ConfigurationError, match=r"environment DISPATCH_CONFIG: there is no file .*gone\.toml"):
            load_settings(environ={"DISPATCH_CONFIG": "gone.toml"}, cwd=tmp_path)
        with pytest.raises(ConfigurationError, match=r"gone\.toml: there is no file"):
            load_settings(config=tmp_path / "gone.toml", environ={}, cwd=tmp_path)


class TestWhereTheHomeIs:
    def test_the_argument_goes_before_the_variable_and_that_before_the_file(self, tmp_path: Path, read):
        environ = {"DISPATCH_HOME": "variable"}
        assert read('home = "file"').home == tmp_path / "file"
        assert read('home = "file"', environ).home == tmp_path / "variable"
        assert load_settings(home=Path("argument"), environ=environ, cwd=tmp_path).home == tmp_path / "argument"

    def test_the_one_of_the_file_is_relative_to_the_file(self, tmp_path: Path):
        (tmp_path / "below").mkdir()
        (tmp_path / "dispatch.toml").write_text('home = "state"')
        assert load_settings(environ={}, cwd=tmp_path / "below").home == tmp_path / "state"

    def test_else_it_is_the_nearest_that_exists(self, tmp_path: Path):
        (tmp_path / ".dispatch").mkdir()
        (tmp_path / "repository" / ".git").mkdir(parents=True)
        assert load_settings(environ={}, cwd=tmp_path / "repository").home == tmp_path / ".dispatch"

    def test_else_it_is_at_the_top_of_the_git_repository(self, tmp_path: Path):
        subprocess.run(["git", "init", "--quiet", tmp_path / "repository"], check=True)
        (tmp_path / "repository" / "src").mkdir()
        assert load_settings(environ={}, cwd=tmp_path / "repository" / "src").home == tmp_path / "repository/.dispatch"

    def test_an_empty_one_is_none(self, tmp_path: Path, read):
        assert read('home = ""', {"DISPATCH_HOME": ""}).home == tmp_path / ".dispatch"

    def test_it_is_absolute_with_links_and_the_users_directory_resolved(self, tmp_path: Path, monkeypatch, read):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        monkeypatch.setenv("HOME", str(tmp_path / "user"))
        assert read("", {"DISPATCH_HOME": "link/../link/x"}).home == tmp_path / "real" / "x"
        assert read("", {"DISPATCH_HOME": "~/fleet"}).home == tmp_path / "user" / "fleet"


def test_reading_imports_neither_a_broker_nor_a_database_library():
    program = (
        "import sys, dispatch.settings;"
        "print(sorted({'celery', 'kombu', 'redis', 'sqlalchemy', 'psycopg', 'rich', 'typer'} & sys.modules.keys()))"
    )
    top = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=top, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unreadable_file_is_an_error_that_names_it(tmp_path: Path):
    (tmp_path / "dispatch.toml").write_bytes(b'key_prefix = "\xff"')
    with pytest.raises(ConfigurationError, match=r"dispatch\.toml: cannot be read \(.*utf-8"):
        load_settings(environ={}, cwd=tmp_path)

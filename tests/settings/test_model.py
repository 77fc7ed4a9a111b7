"""The questions that other rooms ask of the settings."""

import pickle
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from dispatch.settings import ProjectSettings, RoleSettings, Settings, normal_name

TIMES = """\
[dispatch]
task_timeout = "1m"
[roles.slow]
aliases = ["snail"]
task_timeout = "3m"
[roles.plain]
[projects.shop]
task_timeout = "2m"
"""


@pytest.mark.parametrize(
    ("project", "role", "bead", "minutes"),
    [
        ("shop", "slow", timedelta(minutes=4), 4),
        ("shop", "slow", None, 3),
        ("shop", "Snail", None, 3),
        ("shop", "plain", None, 2),
        ("other", "plain", None, 1),
        ("other", "unknown", None, 1),
    ],
)
def test_the_timeout_is_the_beads_else_the_roles_else_the_projects_else_the_setting(
    read, project: str, role: str, bead: timedelta | None, minutes: int
):
    assert read(TIMES).task_timeout(project, role, bead) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "written", ["backend-engineer", "Backend Engineer", "backend_engineer ", "BACKEND", "back-end"]
)
def test_a_role_is_known_by_its_name_and_aliases_however_they_are_written(read, written: str):
    settings = read('[roles.backend-engineer]\nslots = 3\naliases = ["backend", "Back End"]')
    assert settings.resolve_role(written) == "backend-engineer"
    assert settings.role(written).slots == 3


def test_what_is_not_listed_has_the_defaults(read):
    settings = read("")
    assert settings.resolve_role("Some Role") == "some-role"
    assert settings.role("some-role") == RoleSettings()
    assert settings.project("shop") == ProjectSettings()


def test_an_empty_timeout_or_path_is_none(read):
    settings = read('[roles.dev]\ntask_timeout = ""\ninstructions = ""\n[projects.shop]\npath = ""')
    assert settings.role("dev") == RoleSettings()
    assert settings.project("shop").path is None


def test_a_name_in_normal_form_stays_as_it_is():
    assert normal_name(normal_name(" QA__Engineer - ")) == normal_name("qa-engineer") == "qa-engineer"


@pytest.mark.parametrize(
    ("written", "patience"),
    [
        ("", timedelta(minutes=10)),
        ('role_wait = "0s"', timedelta()),
        ("role_wait = 90", timedelta(seconds=90)),
        ('role_wait = "Never"', None),
        ('fallback = "wait"', None),
        ('fallback = "wait"\nrole_wait = "1m"', None),
    ],
)
def test_a_role_that_nobody_serves_is_waited_for_as_long_as_is_said(read, written: str, patience: timedelta | None):
    assert read(f"[dispatch]\n{written}").dispatch.patience == patience


def test_nothing_can_be_changed(read):
    settings = read("[projects.shop]")
    for holder, name in ((settings, "home"), (settings.dispatch, "lease"), (settings.project("shop"), "path")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(holder, name, None)


def test_a_representation_shows_no_address(read):
    settings = read('database_url = "postgresql://u:hunter2@db/x"\nbroker_url = "redis://:hunter2@b"')
    assert "hunter2" not in f"{settings!r} {settings}"


def test_settings_made_by_hand_read_nothing_from_outside(monkeypatch):
    monkeypatch.setenv("HOME", "/elsewhere")
    monkeypatch.setenv("KEY_PREFIX", "stray")
    settings = Settings(home=Path("/srv/fleet"))
    assert (settings.home, settings.key_prefix, settings.config_file) == (Path("/srv/fleet"), "dispatch", None)
    assert settings.origins == {}


def test_settings_survive_the_way_to_another_process(read):
    settings = read(TIMES)
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings
    assert copy.resolve_role("snail") == "slow"
    assert copy.origins == settings.origins


def test_the_tests_of_a_landing_may_take_as_long_as_a_run_unless_set_apart(read):
    settings = read('[projects.slow]\ntask_timeout = "2h"\n[projects.apart]\ntask_timeout = "2h"\ntest_timeout = "5m"')
    limits = [settings.test_timeout(project) for project in ("slow", "apart", "other")]
    assert limits == [timedelta(hours=2), timedelta(minutes=5), timedelta(minutes=30)]
